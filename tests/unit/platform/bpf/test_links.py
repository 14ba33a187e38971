"""Of all BPF links of a host, those are detached that hold these programs here."""

from __future__ import annotations

import pytest

from pyctl.platform.bpf import links
from pyctl.platform.bpf.links import BPF_LINK_TYPE_TCX, BPF_LINK_TYPE_XDP
from tests.unit.platform.bpf.links_world import BpfLink, Host


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(
        n1=BpfLink(BPF_LINK_TYPE_XDP, 70, 5),
        n2=BpfLink(BPF_LINK_TYPE_TCX, 70, 5),
        n3=BpfLink(BPF_LINK_TYPE_XDP, 71, 5),
        n4=BpfLink(BPF_LINK_TYPE_XDP, 70, 6),
        n5=BpfLink(BPF_LINK_TYPE_XDP, 70, 5, ended=True),
        n9=BpfLink(BPF_LINK_TYPE_XDP, 70, 5),
    )
    monkeypatch.setattr(links, "syscall", made.syscall)
    monkeypatch.setattr(links, "obj_info", made.obj_info)
    monkeypatch.setattr(links.os, "close", made.open.remove)
    return made


def test_kind_interface_and_program_must_all_be_right(host: Host) -> None:
    links.detach(BPF_LINK_TYPE_XDP, 5, {70})
    assert host.detached == [1, 9]


def test_no_descriptor_stays_open(host: Host) -> None:
    links.detach(BPF_LINK_TYPE_TCX, 5, {70, 71})
    assert host.detached == [2]
    assert host.open == set()


def test_without_programs_the_host_is_not_even_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "syscall", None)
    links.detach(BPF_LINK_TYPE_XDP, 5, ())
    assert host.detached == []

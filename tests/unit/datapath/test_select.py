"""Choosing the datapath by what was found."""

from __future__ import annotations

import pytest

from pyctl.datapath import select
from pyctl.datapath.ebpf import EbpfDriver
from pyctl.errors import NotCapableError, UsageError
from pyctl.model.instance import Instance

ONE = Instance("one")


@pytest.fixture
def host(monkeypatch):
    """A host that has what is said."""

    def has(*, bcc):
        found = [select.Capability("bcc", bcc, "install python3-bpfcc")]
        monkeypatch.setattr(select, "capabilities", lambda: found)

    return has


@pytest.mark.parametrize("wish", ["auto", "ebpf"])
def test_ebpf_where_everything_is_there(host, wish):
    host(bcc=True)
    assert isinstance(select.choose(wish, ONE), EbpfDriver)


def test_what_is_missing_is_named(host):
    host(bcc=False)
    with pytest.raises(NotCapableError, match="python3-bpfcc"):
        select.choose("auto", ONE)


def test_u32_is_not_there_yet(host):
    host(bcc=True)
    with pytest.raises(NotCapableError, match="classic path"):
        select.choose("u32", ONE)


def test_another_word_is_wrong_usage():
    with pytest.raises(UsageError):
        select.choose("nftables", ONE)


def test_probing_needs_no_root_to_answer():
    names = [one.name for one in select.capabilities()]
    assert names[0] == "bcc"
    assert "bpf file system" in names

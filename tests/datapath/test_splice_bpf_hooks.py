"""Somebody else's BPF programs on the interface are lost by a splice: refused, and left running; with
force taken off, also where they would have moved along."""

from __future__ import annotations

import struct

import pytest

from pyctl.errors import RefusedError, SegctlError
from pyctl.platform.bpf.commands import syscall
from pyctl.platform.bpf.tcx import BPF_TCX_EGRESS, BPF_TCX_INGRESS, count_programs
from pyctl.platform.netns import entered, opened
from tests.lab.datapath.splice import Rig
from tests.lab.datapath.verdict_programs import (
    SCHED_CLS,
    TC_ACT_UNSPEC,
    XDP,
    XDP_PASS,
    loaded,
    pinned,
)
from tests.lab.net.snapshot import assert_same, picture

BPF_PROG_ATTACH = 8


def refused(rig: Rig, words: str) -> None:
    before = picture(rig.pod)
    with pytest.raises(RefusedError, match=words):
        rig.splice("eth0")
    assert_same(before, picture(rig.pod))


@pytest.mark.parametrize("hook", [BPF_TCX_INGRESS, BPF_TCX_EGRESS], ids=["in", "out"])
def test_a_port_with_a_tcx_program_is_refused(rig: Rig, hook: int) -> None:
    (link,) = rig.pod.ip("link", "show", "eth0")
    with loaded(SCHED_CLS, TC_ACT_UNSPEC) as program:
        attr = struct.pack("=IIII", link["ifindex"], program, hook, 0)
        try:
            with opened(rig.pod.path) as fd, entered(fd):
                syscall(BPF_PROG_ATTACH, attr, "attaching to tcx")
        except SegctlError as error:
            pytest.skip(f"this kernel has no tcx: {error}")
    refused(rig, "a tcx program")
    told: list[str] = []
    port = rig.splice(force=True, tell=told.append)
    assert told == ["eth0 had a tcx program, which is taken off"]
    with opened(rig.instance.netns) as fd:
        assert count_programs(fd, port.vex_ifindex) == 0


def test_a_port_with_an_xdp_program_is_refused(rig: Rig) -> None:
    with pinned(XDP, XDP_PASS, f"{rig.instance.name}-xdp") as pin:
        rig.pod.run("ip", "link", "set", "eth0", "xdpgeneric", "pinned", pin)
    refused(rig, "an XDP program")
    told: list[str] = []
    port = rig.splice(force=True, tell=told.append)
    assert told == ["eth0 had an XDP program, which is taken off"]
    assert "xdp" not in rig.enforcer("ip", "-d", "link", "show", port.vex)

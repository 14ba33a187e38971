"""Somebody else's BPF programs on the port would die with the move: refused, and left running."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctl.errors import RefusedError, SegctlError
from pyctl.platform.bpf import syscall
from pyctl.platform.bpf_tcx import BPF_TCX_EGRESS, BPF_TCX_INGRESS
from pyctl.platform.netns import entered, opened
from tests.fixtures.snapshot import assert_same, picture
from tests.fixtures.splice import Rig

BPF_PROG_LOAD, BPF_OBJ_PIN, BPF_PROG_ATTACH = 5, 6, 8
SCHED_CLS, XDP = 3, 6
PASS = {SCHED_CLS: -1, XDP: 2}
"""TC_ACT_UNSPEC, XDP_PASS."""


@pytest.fixture
def programs() -> Iterator[dict[int, int]]:
    """Type → descriptor of a program that passes everything."""
    loaded = {}
    for kind, result in PASS.items():
        code = struct.pack("=BBhi", 0xB7, 0, 0, result) + struct.pack(
            "=BBhi", 0x95, 0, 0, 0
        )
        text, licence = (
            ctypes.create_string_buffer(code),
            ctypes.create_string_buffer(b"MIT"),
        )
        attr = struct.pack(
            "=IIQQ", kind, 2, ctypes.addressof(text), ctypes.addressof(licence)
        )
        loaded[kind], _ = syscall(BPF_PROG_LOAD, attr, "loading a test program")
    yield loaded
    for fd in loaded.values():
        os.close(fd)


def refused(rig: Rig, words: str) -> None:
    before = picture(rig.pod)
    with pytest.raises(RefusedError, match=words):
        rig.splice("eth0")
    assert_same(before, picture(rig.pod))


@pytest.mark.parametrize("hook", [BPF_TCX_INGRESS, BPF_TCX_EGRESS], ids=["in", "out"])
def test_a_port_with_a_tcx_program_is_refused(
    rig: Rig, programs: dict[int, int], hook: int
) -> None:
    (link,) = rig.pod.ip("link", "show", "eth0")
    attr = struct.pack("=IIII", link["ifindex"], programs[SCHED_CLS], hook, 0)
    try:
        with opened(rig.pod.path) as fd, entered(fd):
            syscall(BPF_PROG_ATTACH, attr, "attaching to tcx")
    except SegctlError as error:
        pytest.skip(f"this kernel has no tcx: {error}")
    refused(rig, "a tcx program")


def test_a_port_with_an_xdp_program_is_refused(
    rig: Rig, programs: dict[int, int]
) -> None:
    pin = Path("/sys/fs/bpf") / f"{rig.instance.name}-xdp"
    name = ctypes.create_string_buffer(str(pin).encode())
    syscall(
        BPF_OBJ_PIN,
        struct.pack("=QI", ctypes.addressof(name), programs[XDP]),
        "pinning a test program",
    )
    try:
        rig.pod.run("ip", "link", "set", "eth0", "xdpgeneric", "pinned", str(pin))
    finally:
        pin.unlink()
    refused(rig, "an XDP program")

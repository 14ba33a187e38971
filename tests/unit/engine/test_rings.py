"""A set of packet sockets: whole or none, on its device or not, and reopened with its flows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from pathlib import Path

import pytest

from pyctl.engine import rings as module
from pyctl.engine.rings import RING_FDS, RingSet, open_rings, ring_set
from pyctl.errors import SegctlError

HERE = "127.0.0.1"
"""A socket's own name, which stands for the device that packet sockets are bound to."""
POSITIONS = b"\1" * module._POSITIONS
FLOWS = b"flows"


def bound(name: str = HERE) -> int:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((name, 0))
    return made.detach()


def played(device: str = HERE) -> RingSet:
    """Sockets with that name, and a memfd with positions and flows."""
    state = os.memfd_create("state")
    os.write(state, POSITIONS + FLOWS)
    return RingSet((*(bound(device) for _ in range(RING_FDS - 1)), state))


def is_open(fd: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(fd)
        return True
    return False


@pytest.fixture(autouse=True)
def device(monkeypatch):
    monkeypatch.setattr(module, "DEVICE", HERE)


@pytest.fixture
def rings():
    with played() as made:
        yield made


def test_the_last_descriptor_is_what_a_successor_must_know(rings):
    assert os.pread(rings.state, 100, 0) == POSITIONS + FLOWS


@pytest.mark.parametrize("number", [0, 1, RING_FDS - 1, RING_FDS + 1])
def test_another_number_of_descriptors_is_no_set_and_stays_with_nobody(number):
    pipes = [os.pipe() for _ in range(number)]
    with pytest.raises(SegctlError, match=f"{RING_FDS} descriptors, not {number}"):
        ring_set([read for read, _ in pipes])
    for _, write in pipes:
        # The number of a closed descriptor may be another's by now: its other end shows it.
        with pytest.raises(BrokenPipeError):
            os.write(write, b"x")
        os.close(write)


def test_the_right_number_is_a_set():
    with played() as made:
        assert ring_set(list(made.fds)) == made


def test_one_socket_on_another_device_and_the_set_is_not_on_it(rings):
    assert rings.on_device()
    strange = bound("127.0.0.2")
    try:
        assert not RingSet((*rings.fds[:1], strange, *rings.fds[2:])).on_device()
    finally:
        os.close(strange)


@pytest.mark.parametrize(
    ("flags", "carries"), [(0x41, True), (0x1, False), (0x40, False), (0x1043, True)]
)
def test_a_set_carries_where_device_and_peer_are_up(monkeypatch, rings, flags, carries):
    asked: list[bytes] = []

    def ioctl(_fd, _what, request: bytes) -> bytes:
        asked.append(request)
        return struct.pack("16sh14x", HERE.encode(), flags)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert rings.carries() is carries
    assert asked[0].rstrip(b"\0") == HERE.encode()
    monkeypatch.setattr(module, "DEVICE", "127.0.0.9")
    assert not rings.carries(), "they are on another device"


def test_a_device_that_is_gone_carries_nothing(rings):
    assert not rings.carries()


def test_reopened_rings_begin_anew_and_keep_the_flows(monkeypatch, rings):
    fresh = played()
    monkeypatch.setattr(module, "open_rings", lambda _, **__: fresh)
    with rings.reopened("/nowhere") as made:
        assert made.fds[:-1] == fresh.fds[:-1]
        assert os.path.sameopenfile(made.state, rings.state)
        assert fresh.state == made.state or not is_open(fresh.state)
        assert os.pread(rings.state, 100, 0) == bytes(len(POSITIONS)) + FLOWS
    assert is_open(rings.state)


def test_a_device_that_cannot_be_reopened_leaves_the_set_as_it_was(rings):
    with pytest.raises(SegctlError, match="opening packet rings"):
        rings.reopened("/nowhere")
    assert os.pread(rings.state, 100, 0) == POSITIONS + FLOWS
    assert rings.on_device()


def test_a_set_closes_all_and_closing_again_is_no_error():
    made = played()
    watch, held = os.pipe()
    fds = (held, *made.fds[1:])
    os.close(made.fds[0])
    with RingSet(fds):
        pass
    assert os.read(watch, 1) == b"", "its other end is closed"
    os.close(watch)
    assert not any(map(is_open, fds))
    RingSet(fds).close()


@pytest.mark.parametrize("netns", ["/nowhere", Path("/nowhere")])
def test_a_namespace_that_is_not_there_opens_nothing(netns):
    held = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(SegctlError, match=r"rings on vth-neuv in /nowhere") as raised:
        open_rings(netns)
    assert raised.value.errno == 2
    assert set(Path("/proc/self/fd").iterdir()) == held

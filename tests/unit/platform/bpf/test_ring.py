"""The ring buffer's memory, read from a file that stands for it."""

from __future__ import annotations

import mmap
import os
import struct

import pytest

from pyctl.platform.bpf import commands as bpf
from pyctl.platform.bpf.ring import RingReader

PAGE = mmap.PAGESIZE
BUSY, DISCARD = 1 << 31, 1 << 30


class Ring:
    """Writes records as the kernel lays them out."""

    def __init__(self):
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * PAGE)
        self.memory = mmap.mmap(self.fd, 4 * PAGE)
        self.end = 0

    def put(self, data, flags=0):
        at = 2 * PAGE + self.end
        struct.pack_into("=II", self.memory, at, len(data) | flags, 0)
        self.memory[at + 8 : at + 8 + len(data)] = data
        self.end += (8 + len(data) + 7) & ~7
        struct.pack_into("=Q", self.memory, PAGE, self.end)

    def consumed(self):
        return struct.unpack_from("=Q", self.memory, 0)[0]


@pytest.fixture
def ring():
    return Ring()


@pytest.fixture
def reader(ring):
    found = bpf.Map.__new__(bpf.Map)
    found.fd, found.name = os.dup(ring.fd), "seg_events"
    found.layout = bpf.MapLayout(bpf.BPF_MAP_TYPE_RINGBUF, 0, 0, PAGE)
    with RingReader(found) as made:
        yield made


def test_records_come_in_order_and_leave(ring, reader):
    ring.put(b"first")
    ring.put(b"second one")
    assert reader.read() == [b"first", b"second one"]
    assert reader.read() == []
    assert ring.consumed() == ring.end


def test_one_still_being_written_holds_the_rest_back(ring, reader):
    ring.put(b"done")
    ring.put(b"busy", BUSY)
    ring.put(b"later")
    assert reader.read() == [b"done"]


def test_a_discarded_one_is_skipped(ring, reader):
    ring.put(b"thrown away", DISCARD)
    ring.put(b"kept")
    assert reader.read() == [b"kept"]


def test_no_more_than_asked_for(ring, reader):
    for number in range(5):
        ring.put(bytes([number]) * 8)
    assert len(reader.read(limit=2)) == 2
    assert len(reader.read()) == 3

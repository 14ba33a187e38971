"""Fragments through the engine beside a real receiver: what it reads is what was inspected, or the datagram died."""

from __future__ import annotations

import itertools
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet6 import IPv6ExtHdrFragment

from tests.lab.net.netns import Lab, Netns
from tests.lab.net.raw_tcp import Tun, internet_checksum
from tests.lab.pace import wait_for
from tests.unit.engine.core import extension
from tests.unit.engine.core.harness import Core, Rule
from tests.unit.engine.core.streams import Places, overlap_at_all, overlaps
from tests.unit.engine.core.wire import NETS, Net

UNIT = 8
HEADER = 8
PORT = 7000


@pytest.fixture(scope="module")
def core_module(request: pytest.FixtureRequest) -> Any:
    """Name: core_module. Scope: module. Depends: gcc. Built once for each state of the sources."""
    return extension.build(request.config.cache.mkdir("segctl-core"))


class Receiver:
    """A UDP socket behind a tun device, whose kernel puts fragments together."""

    def __init__(self, ns: Netns, tun: Tun, net: Net) -> None:
        self.tun = tun
        self.net = replace(net, pod=tun.client, peer=tun.kernel)
        with ns.inside():
            family = socket.AF_INET if net.family == 4 else socket.AF_INET6
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((tun.kernel, PORT))

    def reads(self, packets: list[bytes]) -> list[bytes]:
        """Return the datagrams that its program gets of these packets."""
        for packet in packets:
            self.tun.write_packet(packet)
        found = []
        while select.select([self.socket], [], [], 0 if found or not packets else 5)[0]:
            found.append(self.socket.recv(65536))
        return found

    def fragment(self, ident: int, offset: int, data: bytes, *, more: bool) -> bytes:
        """Return a frame of the workload's to the receiver."""
        if self.net.family == 4:
            flags = "MF" if more else 0
            return self.net.out(data, proto=17, id=ident, flags=flags, frag=offset // 8)
        split = IPv6ExtHdrFragment(nh=17, id=ident, offset=offset // 8, m=int(more))
        return self.net.out(split / data)

    def header(self, length: int) -> bytes:
        """Return UDP's, which is right for every text here; IPv4 needs no checksum."""
        head = struct.pack("!HHHH", 4000, PORT, length, 0)
        if self.net.family == 4:
            return head
        ends = (ip_address(one).packed for one in (self.net.pod, self.net.peer))
        checksum = internet_checksum(b"".join(ends) + struct.pack("!II", length, 17) + head)  # fmt: skip
        return head[:6] + struct.pack("!H", checksum)


def text(unit: int, number: int) -> bytes:
    """Return the bytes of a unit in a piece: of another piece they are others, and their sum is the same."""
    word = unit * 7 + number * 60 + 1
    return struct.pack("!HHHH", word, word ^ 0xFFFF, word, word ^ 0xFFFF)


@pytest.fixture(params=NETS, ids=["ipv4", "ipv6"])
def receiver(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """Name: receiver. Scope: function. Depends: lab. A kernel that listens, of each IP version."""
    ns = lab.netns("receiver")
    with Tun(ns, request.param.family) as tun:
        made = Receiver(ns, tun, request.param)
        assert wait_for(lambda: is_heard(made))
        yield made
        made.socket.close()


def is_heard(receiver: Receiver) -> bool:
    """Return whether the address can be reached already."""
    whole = receiver.header(HEADER)
    return bool(receiver.reads([receiver.fragment(60000, 0, whole, more=False)[14:]]))


def row(places: Places, *, differ: bool) -> list[tuple[int, int, bytes]]:
    """Return the pieces with their places, in the order in which they are sent."""
    return [
        (begin, end, b"".join(text(unit, number if differ else 0) for unit in range(begin, end)))
        for number, (begin, end) in enumerate(places, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("header_first", [True, False], ids=["header-first", "header-last"])  # fmt: skip
def test_fragments_that_overlap_in_any_way_are_read_as_inspected_or_die(
    core_module, receiver, header_first
):
    """The 409 ways of three pieces, alike and not. What crosses is cut from what was inspected."""
    core = Core(core_module)
    core.set_policy(Rule())
    whole = 0
    for ident, (places, differ) in enumerate(
        itertools.product(overlaps(3), (False, True)), 1
    ):
        made = row(places, differ=differ)
        last = max(end for _, end in places)
        covered = {unit for begin, end in places for unit in range(begin, end)}
        made += [(unit, unit + 1, text(unit, 0)) for unit in set(range(last)) - covered]
        total = HEADER + last * UNIT
        first = receiver.fragment(ident, 0, receiver.header(total), more=True)
        frames = [
            receiver.fragment(ident, HEADER + begin * UNIT, data, more=end < last)
            for begin, end, data in made
        ]
        frames.insert(0 if header_first else len(frames), first)
        out = []
        used = next((n for n, one in enumerate(frames, 1) if (out := core.feed(one))), len(frames))  # fmt: skip
        out += [one for frame in frames[used:] for one in core.feed(frame)]
        got = receiver.reads([one[14:] for one in out])
        assert len(got) == bool(out), places
        if got:
            # Of pieces that came twice the first was inspected; after the last one a new datagram begins.
            taken = made[: used - header_first]
            ours = {begin: data for begin, _, data in reversed(taken)}
            assert got[0] == b"".join(ours[begin] for begin in sorted(ours)), places
            whole += 1
        assert out or overlap_at_all(places), places
    assert whole >= 2 * sum(not overlap_at_all(places) for places in overlaps(3))
    core.close()

"""Fragments joined to one packet: what is inspected is all that crosses, under one header."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP, IPOption_RR, IPOption_Stream_Id
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.unit.engine.core.app_flow import (
    DECIDED,
    GET,
    SSH_CLIENT,
    Wire,
    asks_for,
)
from tests.unit.engine.core.dns import question
from tests.unit.engine.core.harness import EGRESS, Core, Rule
from tests.unit.engine.core.wire import NETS, SERVICE, udp

NET4, NET6 = NETS
TEXT = bytes(range(256)) * 4


def data_of(frames: list[bytes]) -> bytes:
    """The bytes behind the IP headers, which must leave no hole and not overlap."""
    whole = b""
    for frame in frames:
        ip = Ether(frame).payload
        if ip.version == 4:
            offset, more, head = ip.frag * 8, bool(ip.flags.MF), ip.ihl * 4
            body = bytes(ip)[head : ip.len]
        else:
            split = ip[IPv6ExtHdrFragment]
            offset, more, body = split.offset * 8, bool(split.m), bytes(split.payload)
        assert offset == len(whole)
        assert more == (frame is not frames[-1])
        whole += body
    return whole


def cut(net, layer: Packet, places: list[int], **ip) -> list[bytes]:
    """A packet from the workload, cut before these bytes."""
    packet = net.out(layer)
    at = 34 if net.family == 4 else 54
    data, proto = packet[at:], packet[23 if net.family == 4 else 20]
    ends = [*places[1:], len(data)]
    made = []
    for begin, end in zip(places, ends, strict=True):
        more, body = end < len(data), data[begin:end]
        if net.family == 4:
            flags = "MF" if more else 0
            made.append(net.out(body, proto=proto, id=9, flags=flags, frag=begin // 8, **ip))  # fmt: skip
        else:
            split = IPv6ExtHdrFragment(nh=proto, id=9, offset=begin // 8, m=int(more))
            made.append(net.out(split / body, **ip))
    return made


def feed(core: Core, frames: list[bytes]) -> list[bytes]:
    return [out for frame in frames for out in core.feed(frame)]


def test_small_fragments_leave_as_large_as_the_largest_that_came(core, net):
    core.set_policy(Rule())
    frames = cut(net, udp(payload=TEXT), [0, 8, 16, 24, 624, 632])
    out = feed(core, [frames[3], *frames[:3], *frames[4:]])
    assert data_of(out) == data_of(frames)
    sizes = [len(frame) for frame in out]
    assert sizes[0] == max(map(len, frames))
    assert len(out) == 2


def test_no_fragment_leaves_longer_than_the_longest_that_came(core, net):
    core.set_policy(Rule())
    for places in ([0, 400], [0, 8, 800], [0, 16, 24, 32], [0, 1024]):
        frames = cut(net, udp(payload=TEXT), places)
        out = feed(core, frames)
        assert data_of(out) == data_of(frames)
        assert max(map(len, out)) <= max(map(len, frames))


def test_all_leave_with_the_headers_of_the_first(core, net):
    """One that would die on its way would leave the others to those of the next datagram."""
    core.set_policy(Rule())
    frames = cut(net, udp(payload=TEXT), [0, 400, 800])
    hops = 22 if net.family == 4 else 21
    frames[1] = frames[1][:hops] + b"\1" + frames[1][hops + 1 :]
    heads = [Ether(frame).payload for frame in feed(core, frames)]
    assert [head.ttl if net.family == 4 else head.hlim for head in heads] == [64] * 3
    if net.family == 4:
        assert all(head.chksum == IP(bytes(head)).chksum for head in heads)


def test_the_checksum_of_each_header_is_right(core):
    core.set_policy(Rule())
    for frame in feed(core, cut(NET4, udp(payload=TEXT), [0, 400, 800])):
        said = IP(frame[14:])
        head = IP(frame[14:34])
        del head.chksum
        assert IP(bytes(head)).chksum == said.chksum


def test_options_that_are_not_copied_are_in_the_first_alone(core):
    core.set_policy(Rule())
    options = [IPOption_RR(routers=["0.0.0.0"]), IPOption_Stream_Id(security=5)]
    route_record, stream_id = map(bytes, options)
    frames = cut(NET4, udp(payload=TEXT), [0, 400, 800], options=options)
    at = 14 + 20
    first, *others = feed(core, frames)
    assert len(others) == 2
    assert first[at : at + 11] == route_record + stream_id
    for other in others:
        assert other[at : at + 11] == b"\1" * len(route_record) + stream_id


def test_extension_headers_before_the_fragment_header_stay(core):
    core.set_policy(Rule())
    frames = []
    for begin, end in ((0, 400), (400, 1032)):
        split = IPv6ExtHdrFragment(nh=17, id=3, offset=begin // 8, m=int(begin == 0))
        whole = NET6.out(udp(payload=TEXT))[54:]
        frames.append(NET6.out(IPv6ExtHdrDestOpt() / split / whole[begin:end]))
    out = feed(core, frames)
    assert data_of(out) == data_of(frames)
    assert all(IPv6ExtHdrDestOpt in IPv6(frame[14:]) for frame in out)


def pieces_of(net, data: bytes, size: int = 32768) -> list[bytes]:
    made = []
    for at in range(0, len(data), size):
        body, more = data[at : at + size], at + size < len(data)
        if net.family == 4:
            flags = "MF" if more else 0
            made.append(net.out(body, proto=17, id=9, flags=flags, frag=at // 8))
        else:
            split = IPv6ExtHdrFragment(nh=17, id=9, offset=at // 8, m=int(more))
            made.append(net.out(split / body))
    return made


def test_the_largest_datagram_passes_and_one_that_no_receiver_takes_does_not(core, net):
    core.set_policy(Rule())
    most = 65535 - (20 if net.family == 4 else 0)
    for total in (most - 9, most, most + 1):
        length = min(total, 65535)
        head = bytes(UDP(sport=1, dport=SERVICE, len=length, chksum=0))
        frames = pieces_of(net, (head + bytes(70000))[:total])
        out = feed(core, frames)
        assert (data_of(out) == data_of(frames)) is (total <= most)
    # Of IPv6's, the first fragment could begin another datagram.
    assert core.drops() == {"malformed": 2 if net.family == 4 else 1}


def test_a_request_in_fragments_is_inspected_whole_and_crosses(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    head = GET[:-2] + b"Cookie: " + b"c" * 900 + b"\r\n\r\n"
    for frame in net.fragments(wire.connection.segment(0, "PA", head), 400):
        wire.core.feed(frame)
    assert wire.session.look == DECIDED
    out = [sent.data for sent in wire.core.sent[-3:]]
    assert data_of(out)[20:] == head


def test_of_a_denied_application_in_fragments_nothing_crosses(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    before = len(wire.core.sent)
    frames = net.fragments(wire.connection.segment(0, "PA", SSH_CLIENT * 40), 200)
    for frame in frames:
        wire.feed(frame)
    assert wire.across == [b"", b""]
    assert wire.resets == 2
    assert len(wire.core.sent) == before + 2


def test_fragments_that_wait_for_their_application_leave_as_fragments(node, net):
    """A request line in two segments, each of them in fragments: neither crosses before both are there."""
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    before = len(wire.core.sent)
    parts = [b"GET /" + b"a" * 995, b"a" * 600 + GET[4:]]
    for number, part in enumerate(parts):
        assert len(wire.core.sent) == before, number
        for frame in net.fragments(wire.connection.segment(0, "PA", part), 400):
            wire.core.feed(frame)
    out = [sent.data for sent in wire.core.sent[before:]]
    split = next(n for n in range(1, len(out)) if is_first(out[n]))
    assert data_of(out[:split])[20:] == parts[0]
    assert data_of(out[split:])[20:] == parts[1]


def is_first(frame: bytes) -> bool:
    ip = Ether(frame).payload
    split = ip.frag if ip.version == 4 else ip[IPv6ExtHdrFragment].offset
    return not split


def test_a_wrong_checksum_of_tcp_is_seen_over_all_fragments(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    frames = net.fragments(wire.connection.segment(0, "PA", GET * 12), 200)
    frames[-1] = frames[-1][:-1] + b"!"
    for frame in frames:
        assert wire.core.feed(frame) == []
    assert wire.core.counters()["tcp_checksum"] == len(frames)


@pytest.mark.parametrize("denied", [False, True])
def test_the_application_of_a_datagram_in_fragments_is_told_by_all_of_it(
    node, net, denied
):
    """A DNS question whose end, behind the first fragment, makes it none."""
    node.judge_by(asks_for("DNS"))
    asked = question(".".join(["a" * 60] * 3) + ".example")
    if denied:
        asked = asked[:-30] + b"\xff" * 30
    frames = cut(net, udp(payload=asked), [0, 64, 128])
    assert bool(feed(node.core, frames)) is not denied
    assert node.core.counters().get("fragment_overlap", 0) == 0


def test_fragments_of_the_other_side_do_not_join_these(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net, EGRESS).opens()
    mine = net.fragments(wire.connection.segment(0, "PA", GET * 9), 200)
    theirs = net.fragments(wire.connection.segment(1, "PA", bytes(400)), 200)
    assert feed(wire.core, [*mine[:-1], theirs[-1]]) == []

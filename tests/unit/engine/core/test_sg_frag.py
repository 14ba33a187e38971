"""Fragments: judged as the datagram that they are, sent on in order. Behaviour 22."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6ExtHdrFragment

from tests.unit.engine.core.harness import DENY, EGRESS, Core, Rule
from tests.unit.engine.core.wire import CLIENT, NETS, SERVICE, ucmac, udp

NET6 = NETS[1]
BIG = udp(payload=bytes(range(256)) * 12)


def piece(net, offset, data, *, more, ident=5, proto=17):
    """One fragment made by hand; offset in bytes."""
    if net.family == 4:
        return net.out(
            data, proto=proto, id=ident, flags="MF" if more else 0, frag=offset // 8
        )
    header = IPv6ExtHdrFragment(nh=proto, id=ident, offset=offset // 8, m=int(more))
    return net.out(header / data)


@pytest.mark.parametrize("order", ["as sent", "reversed", "last first"])
def test_fragments_wait_for_the_last_and_are_sent_on_in_order(core, net, order):
    core.set_policy(Rule(proto=17, ports=(SERVICE, SERVICE)))
    frames = net.fragments(net.out(BIG))
    in_order = list(frames)
    assert len(frames) > 3
    if order == "reversed":
        frames.reverse()
    elif order == "last first":
        frames.insert(0, frames.pop())
    for frame in frames[:-1]:
        assert core.feed(frame) == []
    assert core.feed(frames[-1]) == in_order
    (session,) = core.sessions()
    assert (session.sport, session.dport) == (CLIENT, SERVICE)
    assert session.packets[0] == len(frames)
    assert session.bytes[0] == sum(map(len, frames))


def test_a_denied_datagram_loses_all_its_fragments(core, net):
    core.set_policy(Rule(DENY, proto=17, ports=(SERVICE, SERVICE)), Rule())
    frames = net.fragments(net.out(BIG))
    for frame in frames:
        assert core.feed(frame) == []
    assert core.drops() == {"policy_deny": len(frames)}


def test_datagrams_of_one_flow_do_not_mix(core, net):
    core.set_policy(Rule())
    one, two = (net.fragments(net.out(BIG), ident=i) for i in (1, 2))
    sent = [core.feed(frame) for pair in zip(one, two, strict=True) for frame in pair]
    assert sent[-2:] == [one, two]


def test_the_two_directions_do_not_mix(core, net):
    core.set_policy(Rule())
    frames = net.fragments(net.out(BIG))
    for frame in frames[:-1]:
        core.feed(frame)
    assert core.feed(net.fragments(net.into(BIG))[-1]) == []
    assert core.feed(frames[-1]) == frames


@pytest.mark.parametrize(
    "second",
    [(8, 16, True), (0, 32, True), (16, 16, True), (8, 8, False)],
    ids=["inside", "around", "tail", "last ends before what is held"],
)
def test_overlapping_fragments_drop_the_whole_datagram(core, net, second):
    core.set_policy(Rule())
    udp_start = bytes(BIG)[:24]
    offset, length, more = second
    assert core.feed(piece(net, 0, udp_start, more=True)) == []
    assert core.feed(piece(net, offset, bytes(length), more=more)) == []
    assert core.drops() == {"fragment_overlap": 2}
    assert core.feed(piece(net, 48, bytes(8), more=False)) == []
    assert core.drops() == {"fragment_overlap": 3}


def test_an_exact_repeat_is_dropped_alone(core, net):
    core.set_policy(Rule())
    frames = net.fragments(net.out(BIG))
    core.feed(frames[0])
    assert core.feed(frames[0]) == []
    for frame in frames[1:-1]:
        core.feed(frame)
    assert core.feed(frames[-1]) == frames
    assert core.drops() == {"fragment_overlap": 1}


def test_a_first_fragment_too_small_for_its_headers_is_dropped(core, net):
    core.set_policy(Rule())
    assert (
        core.feed(piece(net, 0, bytes(TCP(flags="A"))[:16], more=True, proto=6)) == []
    )
    assert core.drops() == {"fragment_tiny": 1}
    assert core.feed(piece(net, 16, bytes(64), more=False, proto=6)) == []
    assert core.drops() == {"fragment_tiny": 2}


def test_a_first_fragment_that_hides_the_transport_behind_extensions_is_dropped(core):
    core.set_policy(Rule())
    extension = b"\x11\x00\x01\x04" + bytes(4)
    assert core.feed(piece(NET6, 0, extension, more=True, proto=60)) == []
    assert core.drops() == {"fragment_tiny": 1}


def test_an_incomplete_datagram_dies_after_ten_seconds(core, net):
    core.set_policy(Rule())
    frames = net.fragments(net.out(BIG))
    for frame in frames[1:]:
        core.feed(frame)
    core.advance(9.8)
    assert core.drops() == {}
    core.advance(0.4)
    assert core.drops() == {"fragment_timeout": len(frames) - 1}
    assert core.told() == [("drop", "fragment_timeout")]
    assert core.feed(frames[0]) == []


@pytest.mark.parametrize("why", ["not a multiple of 8", "empty", "beyond 65535"])
def test_impossible_fragments_are_malformed(core, net, why):
    core.set_policy(Rule())
    frame = {
        "not a multiple of 8": piece(net, 0, bytes(9), more=True),
        "empty": piece(net, 8, b"", more=True),
        "beyond 65535": piece(net, 65528, bytes(16), more=False),
    }[why]
    assert core.feed(frame) == []
    assert core.drops() == {"malformed": 1}


def comes_through(core, net, **ends) -> bool:
    frames = net.fragments(net.out(BIG, **ends), ident=9999)
    for frame in frames[:-1]:
        core.feed(frame)
    return core.feed(frames[-1]) == frames


def test_memory_for_fragments_is_bounded_for_each_port(core, net):
    core.set_policy(Rule())
    held = 0
    for ident in range(2500):
        core.feed(piece(net, 1400, bytes(1400), more=True, ident=ident))
        held += "fragment_memory" not in core.drops()
    assert 600 < held < 800
    assert comes_through(core, net, peer=net.other), "its peer has half of it"
    assert not comes_through(core, net)
    core.advance(11)
    assert comes_through(core, net)


def test_ports_that_flood_leave_the_others_room(core, net):
    """Ten of them, and three peers of each: a port holds as much as is free."""
    for port in range(1, 12):
        core.set_policy(Rule(), port=port)
    pieces = [
        bytes(piece(net, 1400, bytes(1400), more=True, ident=n)) for n in range(400)
    ]
    for port in range(1, 11):
        mac = ucmac(port)
        for frame in pieces:
            for far in (b"\1", b"\2", b"\3"):
                last = 33 if net.family == 4 else 53
                core.feed(
                    frame[:6]
                    + bytes.fromhex(mac.replace(":", ""))
                    + frame[12:last]
                    + far
                    + frame[last + 1 :]
                )
    assert comes_through(core, net, port=11)


def test_fragments_of_one_datagram_are_bounded(core, net):
    core.set_policy(Rule())
    for index in range(300):
        core.feed(piece(net, 8 + 8 * index, bytes(8), more=True))
    assert core.drops() == {"fragment_memory": 300}


def test_recording_modes_lose_no_fragment(core, net):
    core.set_policy(mode="monitor")
    first = piece(net, 0, bytes(BIG)[:24], more=True)
    second = piece(net, 8, bytes(32), more=True)
    core.feed(first)
    assert core.feed(second) == [first, second]
    assert core.passed("fragment_overlap") == 2
    late = piece(net, 0, bytes(BIG)[:24], more=True, ident=77)
    assert core.feed(late) == []
    core.advance(11)
    assert core.sent[-1].data == late


def test_ipv6_atomic_fragments_are_judged_as_they_are(core):
    core.set_policy(Rule(proto=17, ports=(SERVICE, SERVICE)))
    assert core.passes(piece(NET6, 0, bytes(udp()), more=False))
    assert not core.passes(piece(NET6, 0, bytes(udp(dport=1)), more=False))


def test_ipv6_extension_headers_inside_the_fragment_are_walked(core):
    core.set_policy(Rule(proto=17, ports=(SERVICE, SERVICE)))
    whole = b"\x11\x00\x01\x04" + bytes(4) + bytes(udp(payload=bytes(40)))
    frames = [
        piece(NET6, 0, whole[:32], more=True, proto=60),
        piece(NET6, 32, whole[32:], more=False, proto=60),
    ]
    assert core.feed(frames[0]) == []
    assert core.feed(frames[1]) == frames


def test_a_length_beyond_the_datagram_is_malformed(core, net):
    """UDP's own length is checked against the whole, not against the first fragment."""
    core.set_policy(Rule())
    data = bytearray(bytes(BIG)[:24])
    data[4:6] = (500).to_bytes(2, "big")
    core.feed(piece(net, 0, bytes(data), more=True))
    core.feed(piece(net, 24, bytes(24), more=False))
    assert core.drops() == {"malformed": 2}


def test_deleting_a_port_frees_its_fragments(core_module, net):
    core = Core(core_module)
    core.set_policy(Rule())
    core.feed(net.fragments(net.out(BIG))[0])
    core.lib.sg_core_port_delete(core.core, 0x0107)
    core.advance(11)
    assert core.counters() == {}
    core.close()


def test_a_fragmented_datagram_never_reaches_the_flow_map_as_a_miss(core, net):
    """The kernel does not carry fragments, so their coming here is no reason to rewrite."""
    core.set_policy(Rule(dir=EGRESS))
    core.feed(net.out(udp()))
    core.advance(3)
    puts = core.puts
    for frame in net.fragments(net.out(BIG)):
        core.feed(frame)
    assert core.puts == puts

"""The decoder: whose frame, which way, and what is too short or contradictory to judge."""

from __future__ import annotations

import functools
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NS,
    ICMPv6NDOptSrcLLAddr,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from tests import packets
from tests.unit.engine.core.harness import EGRESS, INGRESS, OTHER_PORT, Core, Rule
from tests.unit.engine.core.wire import CLIENT, NETS, SERVICE, bcmac, ucmac, udp

NET4, NET6 = NETS
GSO_TCP4 = b"\x00\x01" + bytes(8)


def test_source_ucmac_is_egress_destination_ucmac_is_ingress(core, net):
    """Behaviour 8."""
    core.set_policy(Rule(dir=EGRESS, proto=17, id=1), Rule(dir=INGRESS, proto=17, id=2))
    assert core.passes(net.out(udp()))
    assert core.passes(net.into(udp(sport=1234)))
    assert sorted((s.dir, s.rule_id) for s in core.sessions()) == [
        (EGRESS, 1),
        (INGRESS, 2),
    ]


def test_a_frame_between_two_workloads_is_judged_once_at_each(core, net):
    """Behaviour 8: one egress and one ingress decision, by each port's own policy."""
    core.set_policy(Rule(dir=EGRESS))
    core.set_policy(port=OTHER_PORT)
    assert core.passes(net.out(udp()))
    assert not core.passes(net.into(udp(), port=OTHER_PORT))
    assert core.drops(OTHER_PORT) == {"default_deny": 1}


@pytest.mark.parametrize("macs", ["none", "both", "port 0"])
def test_not_exactly_one_detour_mac_is_dropped_and_belongs_to_no_port(core, macs):
    source, target = {
        "none": (packets.pod_one_mac, packets.gateway_mac),
        "both": (ucmac(), ucmac(OTHER_PORT)),
        "port 0": (ucmac(0), packets.gateway_mac),
    }[macs]
    frame = (
        Ether(src=source, dst=target)
        / IP(src=packets.pod_one_ip4, dst=packets.world_ip4)
        / udp()
    )
    core.set_policy(Rule(), mode="discover")
    assert not core.passes(bytes(frame))
    assert core.drops(0) == {"detour_macs": 1}


def test_a_port_without_policy_drops_all(core, net):
    assert not core.passes(net.out(udp(), port=OTHER_PORT))
    assert core.counters(OTHER_PORT) == {"to_engine": 1, "no_policy": 1}


def test_a_truncated_frame_is_dropped_in_every_mode(core, net):
    core.set_policy(mode="discover", default=1)
    frame = net.out(udp())
    assert not core.passes(frame, wire_len=len(frame) + 1)
    assert core.drops() == {"truncated": 1}


def short_frames():
    """(name, frame): each breaks one length or one rule of form."""
    four, six = NET4.out(TCP(flags="S") / b"data"), NET6.out(TCP(flags="S") / b"data")

    def patched(frame: bytes, at: int, value: bytes) -> bytes:
        return frame[:at] + value + frame[at + len(value) :]

    yield "ipv4 header cut", four[: 14 + 19]
    yield "ipv4 version 5", patched(four, 14, b"\x55")
    yield "ipv4 header length 4 words", patched(four, 14, b"\x44")
    yield "ipv4 header longer than the frame", patched(four, 14, b"\x4f")[: 14 + 40]
    yield "ipv4 total shorter than its header", patched(four, 16, b"\x00\x13")
    yield "ipv4 total longer than the frame", patched(four, 16, b"\x00\xff")
    yield "ipv4 total 0 in a plain frame", patched(four, 16, b"\x00\x00")
    yield "ipv6 header cut", six[: 14 + 39]
    yield "ipv6 version 4", patched(six, 14, b"\x40")
    yield "ipv6 payload longer than the frame", patched(six, 18, b"\x00\xff")
    yield "ipv6 payload 0 in a plain frame", patched(six, 18, b"\x00\x00")
    yield "tcp offset 4", patched(four, 14 + 20 + 12, b"\x40")
    yield "tcp offset beyond the packet", patched(four, 14 + 20 + 12, b"\xf0")
    yield "udp length 7", patched(NET4.out(udp()), 14 + 20 + 4, b"\x00\x07")
    yield "udp length 0", patched(NET6.out(udp()), 14 + 40 + 4, b"\x00\x00")
    yield (
        "udp longer than the packet",
        patched(NET4.out(udp()), 14 + 20 + 4, b"\x00\xff"),
    )
    for net in NETS:
        yield f"ipv{net.family} udp header cut", net.out(b"\0" * 7, **proto(net, 17))
        yield f"ipv{net.family} tcp header cut", net.out(b"\0" * 19, **proto(net, 6))
        yield (
            f"ipv{net.family} icmp header cut",
            net.out(b"\0" * 7, **proto(net, net.icmp)),
        )
    yield (
        "ipv6 hop-by-hop not first",
        bytes(
            NET6.link(True)
            / NET6.ip(NET6.pod, NET6.peer)
            / IPv6ExtHdrDestOpt()
            / IPv6ExtHdrHopByHop()
            / udp()
        ),
    )
    nothing = b"\x3c\x00\x01\x04" + bytes(4)
    yield "ipv6 nine extension headers", NET6.out(nothing * 9, nh=60)
    yield "ipv6 extension header cut", NET6.out(b"\x11\x05" + bytes(6), nh=60)
    yield (
        "neighbour discovery behind an extension header",
        NET6.out(IPv6ExtHdrDestOpt() / ICMPv6ND_NS(tgt=NET6.peer), hlim=255),
    )
    yield (
        "ipv6 jumbo option of a small packet",
        NET6.out(b"\x11\x00\xc2\x04\x00\x00\x00\x10" + bytes(8), nh=0, plen=0),
    )


def proto(net, number):
    return {"proto": number} if net.family == 4 else {"nh": number}


@pytest.mark.parametrize("frame", [pytest.param(f, id=n) for n, f in short_frames()])
def test_malformed_is_dropped_in_protect_and_only_counted_elsewhere(core, frame):
    core.set_policy(Rule())
    assert not core.passes(frame)
    assert core.drops() == {"malformed": 1}
    core.set_policy(mode="monitor")
    assert core.passes(frame)
    assert (core.drops(), core.passed("malformed")) == ({"malformed": 2}, 1)


@pytest.mark.parametrize("length", range(14))
def test_no_ethernet_header_belongs_to_no_port(core, length):
    assert not core.passes(NET4.out(udp())[:length])
    assert core.drops(0) == {"malformed": 1}


def test_padding_behind_the_ip_packet_is_not_payload(core, net):
    core.set_policy(Rule())
    assert core.passes(net.out(udp()) + bytes(18))


def test_ipv4_options_are_stepped_over(core):
    core.set_policy(Rule(proto=17, ports=(SERVICE, SERVICE)))
    assert core.passes(NET4.out(udp(), options=b"\x01" * 8))


@pytest.mark.parametrize(
    "header", ["hop-by-hop", "destination", "routing", "atomic fragment"]
)
def test_ipv6_extension_headers_are_stepped_over(core, header):
    core.set_policy(Rule(proto=17, ports=(SERVICE, SERVICE)))
    extension = {
        "hop-by-hop": IPv6ExtHdrHopByHop(),
        "destination": IPv6ExtHdrDestOpt(),
        "routing": IPv6ExtHdrRouting(type=2, segleft=0, addresses=[NET6.other]),
        "atomic fragment": IPv6ExtHdrFragment(id=5, m=0, offset=0),
    }[header]
    assert core.passes(NET6.out(extension / udp()))
    assert core.sessions()[0].dport == SERVICE


def test_super_frames_pass_whole_with_their_vnet_header(core, net):
    """BIG TCP: the length fields are zero, the frame's own length counts."""
    core.set_policy(Rule(proto=6))
    tcp = bytes(TCP(sport=CLIENT, dport=SERVICE, flags="A")) + bytes(100_000)
    length = {"len": 0, "proto": 6} if net.family == 4 else {"plen": 0, "nh": 6}
    frame = net.out(tcp, **length)
    assert core.passes(frame, vnet=GSO_TCP4)
    assert core.sent[-1].vnet == GSO_TCP4
    assert core.sessions()[0].bytes[0] == len(frame)


def test_ipv6_jumbograms_are_read_by_their_option(core):
    core.set_policy(Rule(proto=6))
    tcp = bytes(TCP(sport=CLIENT, dport=SERVICE, flags="A")) + bytes(80_000)
    jumbo = b"\x06\x00\xc2\x04" + struct.pack(">I", len(tcp) + 8)
    assert core.passes(NET6.out(jumbo + tcp, nh=0, plen=0))


def test_a_vlan_tag_goes_on_with_the_frame_and_stays_out_of_the_flow_map(core, net):
    core.set_policy(Rule())
    frame = net.out(udp())
    assert core.passes(frame, vlan=42)
    assert core.sent[-1].vlan == 42
    assert core.flows == {}


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 253])
def test_a_routing_header_that_is_not_at_its_end_is_refused(core, kind):
    core.set_policy(Rule())
    route = IPv6ExtHdrRouting(type=kind, segleft=1, addresses=[NET6.other])
    frame = NET6.out(route / udp())
    assert not core.passes(frame)
    pieces = NET6.fragments(NET6.out(route / udp(payload=bytes(400))), 200)
    assert not any(core.passes(piece) for piece in pieces)
    assert core.drops() == {"source_route": 1 + len(pieces)}
    core.set_policy(Rule(), mode="monitor")
    assert core.passes(frame)
    assert core.passed("source_route") == 1


LOOSE, STRICT, RECORD = b"\x83", b"\x89", b"\x07"


@pytest.mark.parametrize("before", [b"", b"\x01", RECORD + b"\x03\x04"])
@pytest.mark.parametrize("kind", [LOOSE, STRICT])
def test_an_ipv4_source_route_is_refused_wherever_it_stands(core, kind, before):
    core.set_policy(Rule())
    route = kind + b"\x07\x04" + NET4.address(NET4.other)
    assert not core.passes(NET4.out(udp(), options=before + route))
    assert core.drops() == {"source_route": 1}


@pytest.mark.parametrize(
    "options",
    [
        RECORD + b"\x07\x04" + LOOSE * 4,
        b"\x00" + LOOSE * 3,
        RECORD + b"\x00" + LOOSE * 2,
        b"\x01\x01\x01" + RECORD,
    ],
    ids=["in another's value", "behind the end", "behind none's length", "no length"],
)
def test_what_only_looks_like_a_source_route_is_none(core, options):
    core.set_policy(Rule())
    assert core.passes(NET4.out(udp(), options=options))


@pytest.mark.parametrize("kind", ["arp", "neighbour", "group"])
def test_what_a_link_needs_passes_without_a_rule(core, kind):
    ns = ICMPv6ND_NS(tgt=NET6.peer) / ICMPv6NDOptSrcLLAddr(lladdr=packets.pod_one_mac)
    group = Ether(src=ucmac(), dst=packets.group_mac)
    frame, reason = {
        "arp": (bytes(NET4.link(True) / ARP(psrc=NET4.pod, pdst=NET4.peer)), "arp"),
        "neighbour": (NET6.out(ns, hlim=255), "neighbour_discovery"),
        "group": (
            bytes(
                group
                / IP(src=NET4.pod, dst=packets.group_ip4, ttl=1, proto=2)
                / Raw(bytes(8))
            ),
            "group",
        ),
    }[kind]
    assert core.passes(frame)
    assert core.counters()[reason] == 1
    core.set_policy(mode="quarantine")
    assert not core.passes(frame)
    assert core.drops() == {"quarantine": 1}


def test_neighbour_discovery_from_afar_is_judged(core):
    assert not core.passes(NET6.out(ICMPv6ND_NS(tgt=NET6.peer), hlim=64))
    assert core.drops() == {"default_deny": 1}


def test_what_goes_to_a_group_is_judged_by_the_rules(core):
    frame = NET4.out(udp(), peer=packets.group_ip4)
    assert not core.passes(frame)
    far = NET4.out(Raw(bytes(8)), peer=packets.group_ip4, ttl=2, proto=2)
    assert not core.passes(far), "IGMP that would leave the link is none"
    alone = NET4.out(Raw(bytes(8)), peer=packets.group_ip4, ttl=1, proto=2)
    assert not core.passes(alone), "nor is what goes to one MAC"
    core.set_policy(Rule(dir=EGRESS, proto=17))
    assert core.passes(frame)
    assert bytes(core.sessions()[0].daddr)[:4] == NET4.address(packets.group_ip4)


def test_a_group_frame_on_its_way_in_is_known_by_its_detour_mac(core):
    core.set_policy(Rule(dir=INGRESS, proto=17))
    link = Ether(src=packets.gateway_mac, dst=bcmac())
    assert core.passes(bytes(link / IP(src=NET4.peer, dst=packets.group_ip4) / udp()))
    assert core.sessions()[0].dir == INGRESS


def test_a_tag_of_vlan_0_is_none(core, net):
    core.set_policy(Rule())
    assert core.passes(net.out(udp()), vlan=5 << 13)
    assert core.sent[-1].vlan == 5 << 13
    assert core.flows, "the kernel finds it by its addresses"


def test_a_group_mac_does_not_free_a_unicast_address(core):
    group = Ether(src=ucmac(), dst=packets.group_mac)
    assert not core.passes(bytes(group / IP(src=NET4.pod, dst=NET4.peer) / udp()))


def test_other_ethertypes_pass_only_where_the_mode_records(core):
    frame = bytes(
        NET4.link(True) / Dot1Q(vlan=3) / IP(src=NET4.pod, dst=NET4.peer) / udp()
    )
    assert not core.passes(frame)
    assert core.drops() == {"other_ethertype": 1}
    core.set_policy(mode="discover", default=1)
    assert core.passes(frame)


@functools.cache
def frames() -> list[bytes]:
    return [
        NET4.out(TCP(flags="A") / b"data"),
        NET6.into(TCP(flags="S")),
        NET6.out(IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP() / b"data"),
        NET4.into(NET4.unreachable(NET4.out(udp()))),
        NET6.into(NET6.unreachable(NET6.out(udp()))),
        *NET4.fragments(NET4.out(udp(payload=bytes(900)))),
        *NET6.fragments(NET6.out(udp(payload=bytes(900)))),
    ]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_bytes_are_either_passed_or_counted(core_module, data):
    """Every frame has exactly one decision; nothing traps (the build has UBSan)."""
    core = Core(core_module, sessions=64)
    core.set_policy(
        Rule(proto=17), mode=data.draw(st.sampled_from(["protect", "monitor"]))
    )
    fed = 0
    for _ in range(data.draw(st.integers(1, 12))):
        frame = bytearray(data.draw(st.sampled_from(frames())))
        for _ in range(data.draw(st.integers(0, 6))):
            at = data.draw(st.integers(12, len(frame) - 1))
            frame[at] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(frame)))
        frame = frame[: cut if cut % 3 == 0 else len(frame)]
        core.feed(bytes(frame))
        fed += 1
        core.advance(data.draw(st.sampled_from([0, 0, 11])))
    core.advance(11)
    port, nobody = core.counters(), core.counters(0)
    recorded = sum(core.passed(name) for name in core.drops())
    assert port.get("to_engine", 0) + nobody.get("to_engine", 0) == fed
    ends = port.get("from_engine", 0) + sum(core.drops().values()) - recorded
    assert ends + sum(core.drops(0).values()) == fed
    core.close()

"""Every kind of frame on vex and vin: the verdict and the one reason counted (DESIGN §2a)."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

import pytest

from pyctl import abi
from pyctl.datapath.pins import open_map
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import OTHER_PORT, PORT, Lab

SHOT, REDIRECT = 2, 7
WAY = {"vex": "in", "vin": "out"}


@dataclass(frozen=True)
class Case:
    """A frame, and its reason in protect and in discover (None: the same)."""

    name: str
    hook: str
    frame: bytes
    reason: str
    drops: bool
    """In protect; discover and monitor drop forged detour MACs alone."""


def both(name, make, reason, *, drops):
    return [
        Case(name, hook, bytes(make(WAY[hook])), reason, drops)
        for hook in ("vex", "vin")
    ]


def vex(name, frame, reason, *, drops):
    return [Case(name, "vex", bytes(frame), reason, drops)]


def vin(name, frame, reason, *, drops):
    return [Case(name, "vin", bytes(frame), reason, drops)]


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


UCMAC, UCMAC_B = mac_text(abi.ucmac(PORT)), mac_text(abi.ucmac(OTHER_PORT))
TAPMAC_B = mac_text(packets.tapmac(OTHER_PORT))


def arp(way):
    pod = {"hwsrc": packets.pod_one_mac, "psrc": packets.pod_one_ip4}
    world = {"hwsrc": packets.gateway_mac, "psrc": packets.gateway_ip4}
    return f.ARP(**(world if way == "in" else pod))


def frag(way, **header):
    return f.link(way) / f.ip(way, **header) / f.Raw(b"x" * 64)


def ext6(way, *headers):
    packet = f.link(way) / f.ip(way, 6)
    for header in headers:
        packet /= header
    return packet


def many_options(way):
    return ext6(way, *[f.IPv6ExtHdrDestOpt() for _ in range(6)], f.udp())


CASES = [
    # The engine's: unicast IP without a verdict.
    *both("tcp4", lambda w: f.link(w) / f.ip(w) / f.tcp(), "to_engine", drops=False),
    *both("tcp6", lambda w: f.link(w) / f.ip(w, 6) / f.tcp(), "to_engine", drops=False),
    *both("syn", lambda w: f.link(w) / f.ip(w) / f.tcp("S"), "to_engine", drops=False),
    *both("udp4", lambda w: f.link(w) / f.ip(w) / f.udp(), "to_engine", drops=False),
    *both("echo6", lambda w: f.link(w) / f.ip(w, 6) / f.echo(6), "to_engine", drops=False),
    *both("sctp", lambda w: f.link(w) / f.ip(w, proto=132) / f.Raw(b"x" * 20), "to_engine", drops=False),
    *both("first fragment", lambda w: frag(w, flags="MF", proto=17), "to_engine", drops=False),
    *both("later fragment", lambda w: frag(w, frag=100, proto=17), "to_engine", drops=False),
    *both("tiny first fragment", lambda w: f.link(w) / f.ip(w, flags="MF", proto=6) / f.Raw(b"x" * 8), "to_engine", drops=False),
    *both("fragment6", lambda w: ext6(w, f.IPv6ExtHdrFragment(m=1), f.udp()), "to_engine", drops=False),
    *both("atomic fragment6", lambda w: ext6(w, f.IPv6ExtHdrFragment(), f.udp()), "to_engine", drops=False),
    *both("routing header", lambda w: ext6(w, f.routing(), f.udp()), "to_engine", drops=False),
    *both("options6", lambda w: ext6(w, f.IPv6ExtHdrHopByHop(), f.udp()), "to_engine", drops=False),
    *both("options6 without end", many_options, "to_engine", drops=False),
    *both("options4", lambda w: f.link(w) / f.ip(w, options=b"\1" * 8) / f.tcp(), "to_engine", drops=False),
    *both("source route", lambda w: f.link(w) / f.ip(w, options=b"\1\x83\7\4" + bytes(4)) / f.udp(), "to_engine", drops=False),
    *both("padding", lambda w: bytes(f.link(w) / f.ip(w) / f.udp()) + bytes(18), "to_engine", drops=False),
    # What crosses by itself (and tests/kernel/test_neigh.py).
    *both("arp", lambda w: f.link(w, dst=packets.broadcast_mac) / arp(w), "arp", drops=False),
    *both("unicast arp", lambda w: f.link(w) / arp(w), "arp", drops=False),
    *both("solicitation", lambda w: f.link(w, dst=packets.group6_mac) / f.ip(w, 6, dst=packets.group_ip6, hlim=255) / f.ICMPv6ND_NS(), "neighbour_discovery", drops=False),
    *both("unicast solicitation", lambda w: f.link(w) / f.ip(w, 6, hlim=255) / f.ICMPv6ND_NS(), "neighbour_discovery", drops=False),
    *both("forwarded solicitation", lambda w: f.link(w) / f.ip(w, 6, hlim=254) / f.ICMPv6ND_NS(), "to_engine", drops=False),
    *both("solicitation behind options", lambda w: f.link(w) / f.ip(w, 6, hlim=255) / f.IPv6ExtHdrHopByHop() / f.ICMPv6ND_NS(), "malformed", drops=True),
    *both("multicast4", lambda w: f.link(w, dst=packets.group_mac) / f.ip(w, dst=packets.group_ip4) / f.udp(), "to_engine", drops=False),
    *both("multicast6", lambda w: f.link(w, dst=packets.group6_mac) / f.ip(w, 6, dst=packets.group_ip6) / f.udp(), "to_engine", drops=False),
    *both("broadcast", lambda w: f.link(w, dst=packets.broadcast_mac) / f.ip(w, dst=packets.limited_broadcast_ip4) / f.udp(), "to_engine", drops=False),
    # Detour MACs from outside.
    *both("a aims at b", lambda w: f.link(w, dst=UCMAC_B) / f.ip(w) / f.tcp(), "forged_ucmac", drops=True),
    *both("a copy for b", lambda w: f.link(w, dst=TAPMAC_B) / f.ip(w) / f.tcp(), "forged_ucmac", drops=True),
    *both("from a detour", lambda w: f.link(w, src=UCMAC) / f.ip(w) / f.tcp(), "forged_ucmac", drops=True),
    *both("at a broadcast detour", lambda w: f.link(w, dst=packets.bcmac) / f.ip(w) / f.tcp(), "forged_ucmac", drops=True),
    *both("from a broadcast detour", lambda w: f.link(w, src=packets.bcmac) / f.ARP(), "forged_ucmac", drops=True),
    *both("arp at b", lambda w: f.link(w, dst=UCMAC_B) / f.ARP(), "forged_ucmac", drops=True),
    # Who is who.
    *vin("foreign mac", f.link("out", src=packets.stranger_mac) / f.ip("out") / f.tcp(), "spoofed_mac", drops=True),
    *vin("arp from a foreign mac", f.link("out", src=packets.stranger_mac) / f.ARP(), "spoofed_mac", drops=True),
    *vex("for a stranger", f.link("in", dst=packets.stranger_mac) / f.ip("in") / f.tcp(), "not_mine", drops=True),
    *vex("arp for a stranger", f.link("in", dst=packets.stranger_mac) / f.ARP(), "not_mine", drops=True),
    *vex("any source on vex", f.link("in") / f.ip("in", src=packets.pod_two_ip4) / f.tcp(), "to_engine", drops=False),
    *vin("dhcp", f.link("out", dst=packets.broadcast_mac) / f.ip("out", src=packets.unspecified_ip4, dst=packets.limited_broadcast_ip4) / f.udp(sport=68, dport=67), "to_engine", drops=False),
    *vin("link-local of another", f.link("out") / f.ip("out", 6, src=packets.link_local_ip6) / f.udp(), "spoofed_ip", drops=True),
    *vin("own link-local", f.link("out") / f.ip("out", 6, src=packets.pod_one_link_local_ip6) / f.udp(), "to_engine", drops=False),
    *vin("dad", f.link("out", dst=packets.group6_mac) / f.ip("out", 6, src=packets.unspecified_ip6, dst=packets.group_ip6, hlim=255) / f.ICMPv6ND_NS(), "neighbour_discovery", drops=False),
    *both("unicast in a group frame", lambda w: f.link(w, dst=packets.group_mac) / f.ip(w) / f.tcp(), "l2_group_l3_unicast", drops=True),
    *both("unicast in a broadcast frame", lambda w: f.link(w, dst=packets.broadcast_mac) / f.ip(w, 6) / f.tcp(), "l2_group_l3_unicast", drops=True),
    # Other ethertypes.
    *both("vlan", lambda w: f.link(w) / f.Dot1Q(vlan=5) / f.ip(w) / f.tcp(), "vlan_tagged", drops=True),
    *both("provider vlan", lambda w: f.link(w, type=0x88A8) / f.Dot1Q(vlan=5) / f.ip(w), "vlan_tagged", drops=True),
    *both("lldp", lambda w: f.link(w, dst=packets.broadcast_mac, type=0x88CC) / f.Raw(b"x" * 46), "other_ethertype", drops=True),
    *both("lldp to its group", lambda w: f.link(w, dst=packets.lldp_mac, type=0x88CC) / f.Raw(b"x" * 46), "link_control", drops=True),
    *both("spanning tree", lambda w: f.link(w, dst=packets.bpdu_mac, type=46) / f.Raw(b"BB\3" + bytes(43)), "link_control", drops=True),
    *both("what bridges forward", lambda w: f.link(w, dst=packets.forwarded_mac, type=46) / f.Raw(bytes(46)), "other_ethertype", drops=True),
    *both("llc", lambda w: f.link(w, type=46) / f.Raw(b"x" * 46), "other_ethertype", drops=True),
    # Headers cut short or contradictory. (Frames too short for an IP header: tests/datapath, since
    # PROG_TEST_RUN refuses them from Linux 6.17 on.)
    *both("ip version 5", lambda w: f.link(w, type=0x0800) / f.ip(w, version=5, proto=17) / f.udp(), "malformed", drops=True),
    *both("ip6 version 4", lambda w: f.link(w, type=0x86DD) / f.ip(w, 6, version=4) / f.udp(), "malformed", drops=True),
    *both("ihl 4", lambda w: f.link(w) / f.ip(w, ihl=4) / f.udp(), "malformed", drops=True),
    *both("ihl beyond the frame", lambda w: f.link(w) / f.ip(w, ihl=15, len=20), "malformed", drops=True),
    *both("length beyond the frame", lambda w: f.link(w) / f.ip(w, len=500) / f.udp(), "malformed", drops=True),
    *both("length 0 without gso", lambda w: f.link(w) / f.ip(w, len=0) / f.udp(), "malformed", drops=True),
    *both("length6 beyond the frame", lambda w: f.link(w) / f.ip(w, 6, plen=500) / f.udp(), "malformed", drops=True),
    *both("half a tcp header", lambda w: f.link(w) / f.ip(w, proto=6) / f.Raw(b"x" * 19), "malformed", drops=True),
    *both("tcp header in the padding", lambda w: f.link(w) / f.ip(w, len=30) / f.tcp(), "malformed", drops=True),
    *both("tcp offset 4", lambda w: f.link(w) / f.ip(w) / f.tcp(dataofs=4), "malformed", drops=True),
    *both("tcp offset beyond", lambda w: f.link(w) / f.ip(w) / f.tcp(dataofs=15), "malformed", drops=True),
    *both("half a udp header", lambda w: f.link(w) / f.ip(w, proto=17) / f.Raw(b"x" * 7), "malformed", drops=True),
    *both("half an icmp header", lambda w: f.link(w) / f.ip(w, proto=1) / f.Raw(b"x" * 7), "malformed", drops=True),
    *both("options6 beyond the packet", lambda w: ext6(w, f.IPv6ExtHdrDestOpt(len=9), f.udp()), "malformed", drops=True),
    *both("options6 alone", lambda w: f.link(w) / f.ip(w, 6, nh=0), "malformed", drops=True),
]  # fmt: skip
IDS = [f"{case.hook}: {case.name}" for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_each_frame_has_its_verdict_and_its_reason(kernel: Lab, case: Case):
    kernel.port(case.hook, "protect")
    outcome = kernel.run(case.hook, case.frame)
    assert outcome.reason == case.reason
    assert outcome.verdict == (SHOT if case.drops else REDIRECT)
    counted = outcome.reasons[case.reason]
    assert (counted.packets, counted.bytes, counted.passed) == (1, len(case.frame), 0)


@pytest.mark.parametrize("mode", ["discover", "monitor"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_tap_drops_nothing_but_forged_detours(kernel: Lab, case: Case, mode):
    kernel.port(case.hook, mode)
    outcome = kernel.run(case.hook, case.frame)
    forged = case.reason == "forged_ucmac"
    assert outcome.verdict == (SHOT if forged else REDIRECT)
    counted = outcome.reasons[case.reason]
    assert counted.passed == (1 if case.drops and not forged else 0)
    assert outcome.frame == case.frame, "it crosses as it was"


@pytest.mark.parametrize(("hook", "at"), [("vex", 0), ("vin", 6)])
@pytest.mark.parametrize("version", [4, 6])
def test_a_tap_copies_what_is_undecided_under_a_mac_of_copies(
    kernel: Lab, hook, at, version
):
    way = WAY[hook]
    frame = bytes(f.link(way) / f.ip(way, version) / f.tcp())
    kernel.port(hook, "discover")
    kernel.copies()
    outcome = kernel.run(hook, frame)
    assert (outcome.verdict, outcome.reason) == (REDIRECT, "to_engine")
    assert outcome.frame == frame
    assert kernel.copies() == [frame[:at] + packets.tapmac(PORT) + frame[at + 6 :]]
    kernel.port(hook, "protect")
    kernel.run(hook, frame)
    assert kernel.copies() == [], "held, not copied"


@pytest.mark.parametrize("hook", ["vex", "vin"])
def test_a_tap_passes_what_it_cannot_copy(kernel: Lab, hook):
    frame = bytes(f.link(WAY[hook]) / f.ip(WAY[hook]) / f.tcp())
    kernel.port(hook, "monitor")
    subprocess.run(["ip", "link", "set", "vbr-neuv", "down"], check=True)
    try:
        outcome = kernel.run(hook, frame)
    finally:
        subprocess.run(["ip", "link", "set", "vbr-neuv", "up"], check=True)
    assert (outcome.verdict, outcome.reason) == (REDIRECT, "copy_failed")
    assert outcome.frame == frame


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_quarantine_drops_everything(kernel: Lab, case: Case):
    kernel.port(case.hook, "quarantine", "FAIL_OPEN", "PASS_OTHER", "ANY_SOURCE")
    outcome = kernel.run(case.hook, case.frame)
    assert (outcome.verdict, outcome.reason) == (SHOT, "quarantine")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_without_a_port_everything_is_dropped(kernel: Lab, case: Case):
    outcome = kernel.run(case.hook, case.frame)
    assert (outcome.verdict, outcome.reason) == (SHOT, "no_port")


@pytest.mark.parametrize("version", [4, 6])
def test_a_foreign_source_address_is_dropped_in_protect(kernel: Lab, version):
    source = packets.pod_two_ip4 if version == 4 else packets.pod_two_ip6
    frame = bytes(f.link("out") / f.ip("out", version, src=source) / f.udp())
    kernel.port("vin", "protect")
    outcome = kernel.run("vin", frame)
    assert (outcome.verdict, outcome.reason) == (SHOT, "spoofed_ip")


@pytest.mark.parametrize("mode", ["discover", "monitor"])
def test_a_foreign_source_address_is_recorded_and_still_inspected(kernel: Lab, mode):
    frame = f.link("out") / f.ip("out", src=packets.pod_two_ip4) / f.udp()
    kernel.port("vin", mode)
    outcome = kernel.run("vin", bytes(frame))
    assert outcome.verdict == REDIRECT
    assert {name: one.passed for name, one in outcome.reasons.items()} == {
        "spoofed_ip": 1,
        "to_engine": 0,
    }


def test_unspecified_is_a_source_for_dhcp_alone(kernel: Lab):
    kernel.port("vin")
    header = f.ip("out", src=packets.unspecified_ip4)
    outcome = kernel.run("vin", bytes(f.link("out") / header / f.udp()))
    assert (outcome.verdict, outcome.reason) == (SHOT, "spoofed_ip")


def test_a_port_that_forwards_for_others_may_use_any_source(kernel: Lab):
    frame = f.link("out") / f.ip("out", src=packets.pod_two_ip4) / f.udp()
    kernel.port("vin", "protect", "ANY_SOURCE")
    assert kernel.run("vin", bytes(frame)).reason == "to_engine"


def test_another_ports_address_is_not_this_ports(kernel: Lab):
    """Addresses are looked up with the port: pods must not lend each other theirs."""
    kernel.write("seg_addrs", *kernel.address_entry(packets.pod_two_ip4, OTHER_PORT))
    kernel.port("vin")
    frame = f.link("out") / f.ip("out", src=packets.pod_two_ip4) / f.udp()
    assert kernel.run("vin", bytes(frame)).reason == "spoofed_ip"


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize("name", ["vlan", "lldp"])
def test_other_frames_pass_where_the_port_says_so(kernel: Lab, hook, name):
    case = next(case for case in CASES if case.hook == hook and case.name == name)
    kernel.port(hook, "protect", "PASS_OTHER")
    outcome = kernel.run(hook, case.frame)
    assert (outcome.verdict, outcome.reason) == (REDIRECT, "other_pass")
    assert outcome.frame == case.frame


@pytest.mark.parametrize(("hook", "at"), [("vex", 0), ("vin", 6)])
@pytest.mark.parametrize("version", [4, 6])
def test_the_detour_replaces_the_workloads_mac_alone(kernel: Lab, hook, at, version):
    way = WAY[hook]
    frame = bytes(f.link(way) / f.ip(way, version) / f.tcp())
    kernel.port(hook)
    sent = kernel.run(hook, frame).frame
    assert sent == frame[:at] + abi.ucmac(PORT) + frame[at + 6 :]


@pytest.mark.parametrize("hook", ["vex", "vin"])
def test_a_gso_frame_beyond_64_kib_is_no_malformed_one(kernel: Lab, hook):
    """BIG TCP says length 0 in IPv4; the kernel's segment size vouches for it."""
    way = WAY[hook]
    frame = bytes(f.link(way) / f.ip(way, len=0) / f.tcp() / f.Raw(b"x" * 3000))
    kernel.port(hook)
    assert kernel.run(hook, frame, gso_size=1400).reason == "to_engine"


@pytest.mark.parametrize("hook", ["vex", "vin"])
@pytest.mark.parametrize(
    ("mode", "flags", "verdict", "reason"),
    [
        ("protect", (), SHOT, "engine_down"),
        ("protect", ("FAIL_OPEN",), REDIRECT, "fail_open"),
        ("discover", (), REDIRECT, "fail_open"),
        ("monitor", ("FAIL_OPEN",), REDIRECT, "fail_open"),
    ],
)
def test_a_stale_heartbeat_fails_as_the_port_says_and_never_in_a_tap(
    kernel: Lab, hook, mode, flags, verdict, reason
):
    way = WAY[hook]
    frame = bytes(f.link(way) / f.ip(way) / f.tcp())
    kernel.port(hook, mode, *flags)
    kernel.heartbeat(stale=True)
    outcome = kernel.run(hook, frame)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert outcome.frame == frame, "it crosses as it was"


def test_an_engine_that_never_was_is_down(kernel: Lab):
    kernel.port("vin")
    kernel.write("seg_control", bytes(4), bytes(abi.sizeof("seg_control")))
    frame = bytes(f.link("out") / f.ip("out") / f.tcp())
    assert kernel.run("vin", frame).reason == "engine_down"


def producer_cpu(
    kernel: Lab, hook: str, before: int = 0, *, stale: bool = False
) -> int:
    """What the engine reads of where its frames came from, after one more."""
    value = abi.pack(
        "seg_control",
        heartbeat_ns=1 if stale else time.monotonic_ns() + 60_000_000_000,
        heartbeat_timeout_ns=1 if stale else 4_000_000_000,
        producer_cpu=before,
    )
    kernel.write("seg_control", bytes(4), value)
    way = WAY[hook]
    kernel.run(hook, bytes(f.link(way) / f.ip(way) / f.tcp()))
    with open_map(kernel.instance, "seg_control") as control:
        return abi.unpack("seg_control", control.lookup(bytes(4))).producer_cpu


@pytest.mark.parametrize("hook", ["vex", "vin"])
def test_the_engine_is_told_which_cpu_steers_to_it(kernel: Lab, hook, one_cpu):
    kernel.port(hook)
    here, many = one_cpu + 1, abi.constant("SEG_PRODUCER_MANY")
    assert producer_cpu(kernel, hook) == here
    assert producer_cpu(kernel, hook, before=here) == here
    assert producer_cpu(kernel, hook, before=here + 1) == many
    assert producer_cpu(kernel, hook, before=many) == many


@pytest.mark.parametrize(
    ("mode", "stale", "copies"), [("monitor", False, 1), ("protect", True, 0)]
)
def test_of_a_copy_or_without_an_engine_it_is_not(kernel: Lab, mode, stale, copies):
    kernel.port("vin", mode)
    kernel.copies()
    assert producer_cpu(kernel, "vin", stale=stale) == abi.constant("SEG_PRODUCER_NONE")
    assert len(kernel.copies()) == copies


@pytest.mark.parametrize("hook", ["vex", "vin"])
def test_a_subnets_broadcast_address_is_group_traffic_and_no_source(kernel: Lab, hook):
    broadcast = packets.subnet_broadcast_ip4
    kernel.port(hook)
    kernel.write("seg_addrs", *kernel.address_entry(broadcast, kind="broadcast"))
    way = WAY[hook]
    group = f.link(way, dst=packets.broadcast_mac)
    frame = bytes(group / f.ip(way, dst=broadcast) / f.udp())
    assert kernel.run(hook, frame).reason == "to_engine"
    if hook == "vin":
        frame = f.link(way) / f.ip(way, src=broadcast) / f.udp()
        assert kernel.run(hook, bytes(frame)).reason == "spoofed_ip"

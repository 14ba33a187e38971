"""Whose a frame's source is: what comes in the name of another is dropped in every mode."""

from __future__ import annotations

import ipaddress

import pytest

from pyctl import abi
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import OTHER_PORT, SEGMENT, Lab

SHOT, REDIRECT = 2, 7
MODES = ["discover", "monitor", "protect"]
IPS = {4: packets.pod_two_ip4, 6: packets.pod_two_ip6}
PASSED = ("to_engine", "spoofed_ip")


def key_of(struct: str, ip: str, **fields: int) -> bytes:
    address = ipaddress.ip_address(ip)
    return abi.pack(
        struct,
        family=address.version,
        addr=list(address.packed.ljust(16, b"\0")),
        **fields,
    )


def owned(kernel: Lab, ip: str, owner: int = OTHER_PORT, segment: int = 0) -> None:
    """The address is an attached workload's."""
    kernel.write("seg_owners", *kernel.owner_entry(ip, segment, owner=owner))
    if owner:
        kernel.write("seg_addrs", *kernel.address_entry(ip, owner))


def in_group(kernel: Lab, network: str) -> None:
    net = ipaddress.ip_network(network)
    key = key_of("seg_net_key", str(net.network_address), prefix_len=8 + net.prefixlen)
    kernel.write("seg_nets", key, (1).to_bytes(4, "little"))


def mac_of(kernel: Lab, mac: str, owner: int, **said: bool) -> None:
    kernel.write("seg_macs", *kernel.mac_entry(mac, owner=owner, **said))


def met(kernel: Lab, hook: str, frame: object) -> str:
    """The reason that a frame was dropped for, or `passed`."""
    outcome = kernel.run(hook, bytes(frame))
    (*_, reason) = sorted(outcome.reasons, key=lambda name: name == "to_engine")
    assert outcome.verdict == (REDIRECT if reason in PASSED else SHOT)
    return "passed" if reason in PASSED else reason


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mode", MODES)
def test_an_address_of_another_attached_workload_is_dropped_in_every_mode(
    kernel: Lab, mode, version
):
    kernel.port("vin", mode)
    owned(kernel, IPS[version])
    frame = f.link("out") / f.ip("out", version, src=IPS[version]) / f.udp()
    assert met(kernel, "vin", frame) == "taken_ip"
    # A MAC of its own making hides nothing.
    other = f.link("out", src=packets.stranger_mac)
    frame = other / f.ip("out", version, src=IPS[version]) / f.udp()
    expected = "spoofed_mac" if mode == "protect" else "taken_ip"
    assert met(kernel, "vin", frame) == expected


@pytest.mark.parametrize("mode", MODES)
def test_an_address_of_several_is_each_ones_and_no_others(kernel: Lab, mode):
    kernel.port("vin", mode)
    owned(kernel, IPS[4], owner=0)
    frame = f.link("out") / f.ip("out", src=IPS[4]) / f.udp()
    assert met(kernel, "vin", frame) == "taken_ip"
    kernel.write("seg_addrs", *kernel.address_entry(IPS[4]))
    assert met(kernel, "vin", frame) == "passed"


@pytest.mark.parametrize("mode", MODES)
def test_an_address_of_a_cidr_group_is_dropped_in_every_mode(kernel: Lab, mode):
    kernel.port("vin", mode)
    in_group(kernel, packets.world_net_ip4)
    in_group(kernel, packets.world_net_ip6)
    for version, ip in ((4, packets.world_ip4), (6, packets.world_ip6)):
        frame = f.link("out") / f.ip("out", version, src=ip) / f.udp()
        assert met(kernel, "vin", frame) == "claimed_ip"
    kernel.port("vin", mode, "ANY_SOURCE")
    assert met(kernel, "vin", frame) == "passed"


def test_own_addresses_in_a_cidr_group_are_its_own(kernel: Lab):
    kernel.port("vin")
    in_group(kernel, packets.net_ip4)
    assert met(kernel, "vin", f.link("out") / f.ip("out") / f.udp()) == "passed"


@pytest.mark.parametrize("mode", MODES)
def test_a_neighbours_mac_is_dropped_in_every_mode(kernel: Lab, mode):
    kernel.port("vin", mode)
    mac_of(kernel, packets.pod_two_mac, OTHER_PORT)
    frame = f.link("out", src=packets.pod_two_mac) / f.ip("out") / f.udp()
    assert met(kernel, "vin", frame) == "peer_mac"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("smac", "source", "reason"),
    [
        (packets.pod_two_mac, packets.pod_two_ip4, "passed"),
        (packets.gateway_mac, packets.pod_two_ip4, "passed"),
        (packets.gateway_mac, packets.world_ip4, "passed"),
        (packets.stranger_mac, packets.world_ip4, "passed"),
        (packets.stranger_mac, packets.pod_two_ip4, "peer_mac"),
        (packets.pod_three_mac, packets.pod_two_ip4, "peer_mac"),
        (packets.pod_two_mac, packets.pod_three_ip4, "peer_mac"),
        (packets.pod_two_mac, packets.leased_ip4, "passed"),
    ],
    ids=[
        *("its own", "sent on by the host", "the world by the host"),
        *(
            "a stranger's",
            "an unknown one's",
            "another's",
            "another's back",
            "nobody's",
        ),
    ],
)
def test_on_a_segment_an_address_comes_with_its_owners_mac(
    kernel: Lab, mode, smac, source, reason
):
    kernel.port("vex", mode)
    mac_of(kernel, packets.pod_two_mac, OTHER_PORT)
    mac_of(kernel, packets.pod_three_mac, OTHER_PORT + 1)
    mac_of(kernel, packets.gateway_mac, 0)
    for owner, ip in ((0, packets.pod_two_ip4), (1, packets.pod_three_ip4)):
        owned(kernel, ip, OTHER_PORT + owner)
        owned(kernel, ip, OTHER_PORT + owner, SEGMENT)
    frame = f.link("in", src=smac) / f.ip("in", src=source) / f.udp()
    assert met(kernel, "vex", frame) == reason


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", [0, SEGMENT], ids=["open", "closed"])
@pytest.mark.parametrize("owner", [OTHER_PORT, 0], ids=["alone", "shared"])
def test_a_neighbour_on_u32_sends_with_its_own_address(kernel: Lab, mode, place, owner):
    """Only the maps of owners know what it has."""
    kernel.port("vex", mode)
    mac_of(kernel, packets.pod_two_mac, OTHER_PORT)
    for segment in {0, place}:
        kernel.write("seg_owners", *kernel.owner_entry(IPS[4], segment, owner=owner))
    frame = f.link("in", src=packets.pod_two_mac) / f.ip("in", src=IPS[4]) / f.udp()
    assert met(kernel, "vex", frame) == "passed"


@pytest.mark.parametrize("mode", ["discover", "protect"])
@pytest.mark.parametrize(
    ("smac", "source", "reason"),
    [
        (packets.pod_two_mac, packets.pod_two_ip4, "passed"),
        (packets.gateway_mac, packets.pod_two_ip4, "spoofed_mac"),
        (packets.gateway_mac, packets.leased_ip4, "passed"),
        (packets.gateway_mac, packets.world_ip4, "passed"),
        (packets.pod_three_mac, packets.pod_two_ip4, "spoofed_mac"),
        (packets.pod_three_mac, packets.pod_three_ip4, "passed"),
    ],
    ids=[
        *("its own", "elsewhere's by the host", "one that is elsewhere alone"),
        *("the world", "elsewhere's by a router", "the router's own"),
    ],
)
def test_who_is_on_the_segment_is_not_taken_for_who_has_its_address_elsewhere(
    kernel: Lab, mode, smac, source, reason
):
    kernel.port("vex", mode)
    mac_of(kernel, packets.pod_two_mac, OTHER_PORT, twins=True)
    mac_of(kernel, packets.pod_three_mac, OTHER_PORT + 1, twins=True, any_source=True)
    mac_of(kernel, packets.gateway_mac, 0, twins=True)
    for ip, *owners in (
        (packets.pod_two_ip4, OTHER_PORT, OTHER_PORT + 2),
        (packets.pod_three_ip4, OTHER_PORT + 1, OTHER_PORT + 2),
    ):
        for owner in owners:
            owned(kernel, ip, owner)
        owned(kernel, ip, 0)
        owned(kernel, ip, owners[0], SEGMENT)
    owned(kernel, packets.leased_ip4, 0)
    frame = f.link("in", src=smac) / f.ip("in", src=source) / f.udp()
    if mode == "discover":
        assert kernel.run("vex", bytes(frame)).verdict == REDIRECT
    else:
        assert met(kernel, "vex", frame) == reason


def told_and_inspected(kernel: Lab, hook: str, frame: object, reason: str) -> bool:
    """Whether the modes that record say so, and send the frame on as they do any."""
    for mode in ("discover", "monitor"):
        kernel.port(hook, mode)
        outcome = kernel.run(hook, bytes(frame))
        if outcome.verdict != REDIRECT or set(outcome.reasons) != {reason, "to_engine"}:
            return False
    return True


STRANGERS = {4: packets.world_ip4, 6: packets.world_ip6}


@pytest.mark.parametrize("whose", [IPS, STRANGERS], ids=["another's", "nobody's"])
@pytest.mark.parametrize("version", [4, 6])
def test_what_is_sent_to_no_own_address_is_none_of_who_has_the_mac(
    kernel: Lab, version, whose
):
    """But for one that forwards, and once it has the address."""
    ip = whose[version]
    frame = f.link("in") / f.ip("in", version, dst=ip) / f.udp()
    owned(kernel, IPS[version])
    kernel.port("vex")
    assert met(kernel, "vex", frame) == "not_mine"
    fragment = f.link("in") / f.ip("in", dst=whose[4], frag=9) / f.Raw(b"x" * 64)
    assert met(kernel, "vex", fragment) == "not_mine"
    assert told_and_inspected(kernel, "vex", frame, "not_mine")
    kernel.port("vex", "protect", "ANY_SOURCE")
    assert met(kernel, "vex", frame) == "passed"
    kernel.port("vex")
    kernel.write("seg_addrs", *kernel.address_entry(ip))
    assert met(kernel, "vex", frame) == "passed"


@pytest.mark.parametrize(
    ("ip", "sport", "dport", "reason"),
    [
        (packets.leased_ip4, 67, 68, "passed"),
        (packets.leased_ip4, 68, 67, "not_mine"),
        (packets.limited_broadcast_ip4, 1, 2, "passed"),
        (packets.group_ip4, 1, 2, "passed"),
        (packets.subnet_broadcast_ip4, 1, 2, "passed"),
        (packets.loopback_ip4, 1, 2, "not_mine"),
        (packets.unspecified_ip4, 1, 2, "not_mine"),
        (packets.group_ip6, 1, 2, "passed"),
        (packets.loopback_ip6, 1, 2, "not_mine"),
        (packets.link_local_ip6, 1, 2, "not_mine"),
    ],
)
def test_leases_and_what_is_for_many_come_to_one_mac(
    kernel: Lab, ip, sport, dport, reason
):
    kernel.port("vex")
    broadcast = kernel.address_entry(packets.subnet_broadcast_ip4, kind="broadcast")
    kernel.write("seg_addrs", *broadcast)
    version = ipaddress.ip_address(ip).version
    udp = f.udp(sport=sport, dport=dport)
    frame = f.link("in") / f.ip("in", version, dst=ip) / udp
    assert met(kernel, "vex", frame) == reason


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("dmac", "reason"),
    [
        (packets.pod_two_mac, "passed"),
        (packets.gateway_mac, "passed"),
        (packets.pod_three_mac, "wrong_mac"),
        (packets.stranger_mac, "wrong_mac"),
    ],
    ids=["its own", "the host's", "another's", "an unattached one's"],
)
def test_what_is_for_a_workload_on_the_segment_goes_to_its_mac(
    kernel: Lab, dmac, reason, version
):
    mac_of(kernel, packets.pod_two_mac, OTHER_PORT)
    mac_of(kernel, packets.pod_three_mac, OTHER_PORT + 1)
    mac_of(kernel, packets.gateway_mac, 0)
    frame = f.link("out", dst=dmac) / f.ip("out", version, dst=IPS[version]) / f.udp()
    kernel.port("vin")
    assert met(kernel, "vin", frame) == "passed"
    owned(kernel, IPS[version], OTHER_PORT, SEGMENT)
    assert met(kernel, "vin", frame) == reason
    assert reason == "passed" or told_and_inspected(kernel, "vin", frame, reason)


def test_a_router_on_the_segment_is_sent_what_is_for_others(kernel: Lab):
    mac_of(kernel, packets.pod_three_mac, OTHER_PORT + 1, any_source=True)
    owned(kernel, IPS[4], OTHER_PORT, SEGMENT)
    kernel.port("vin")
    link = f.link("out", dst=packets.pod_three_mac)
    assert met(kernel, "vin", link / f.ip("out", dst=IPS[4]) / f.udp()) == "passed"


def test_a_gateway_on_the_segment_sends_for_others(kernel: Lab):
    kernel.port("vex")
    owned(kernel, packets.pod_two_ip4, OTHER_PORT, SEGMENT)
    mac_of(kernel, packets.pod_three_mac, OTHER_PORT + 1, any_source=True)
    mac = f.link("in", src=packets.pod_three_mac)
    frame = mac / f.ip("in", src=packets.pod_two_ip4) / f.udp()
    assert met(kernel, "vex", frame) == "passed"


def test_one_who_has_no_address_yet_is_no_thief(kernel: Lab):
    kernel.port("vex")
    mac_of(kernel, packets.pod_two_mac, OTHER_PORT)
    frame = (
        f.link("in", src=packets.pod_two_mac)
        / f.ip("in", src=packets.unspecified_ip4)
        / f.udp(sport=68, dport=67)
    )
    assert met(kernel, "vex", frame) == "passed"

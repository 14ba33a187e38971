"""Frames from the engine on vbr: which pair they go to, and what is refused."""

from __future__ import annotations

import pytest

from pyctl import abi
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import OTHER_PORT, PORT, Lab

UNSPEC, SHOT, REDIRECT = -1, 2, 7
UCMAC = abi.ucmac(PORT).hex(":")
OTHER = abi.ucmac(OTHER_PORT).hex(":")


def from_engine(way, **macs):
    return bytes(f.link(way, **macs) / f.ip(way) / f.tcp())


@pytest.mark.parametrize(
    ("way", "macs", "at"), [("in", {"dst": UCMAC}, 0), ("out", {"src": UCMAC}, 6)]
)
def test_the_workloads_mac_comes_back(kernel: Lab, way, macs, at):
    kernel.back()
    got = kernel.run("vbr", from_engine(way, **macs))
    assert (got.verdict, got.reason) == (REDIRECT, "from_engine")
    plain = from_engine(way)
    mac = bytes.fromhex(packets.pod_one_mac.replace(":", ""))
    assert got.frame == plain[:at] + mac + plain[at + 6 :]


@pytest.mark.parametrize(
    ("version", "dst", "mac"),
    [
        (4, packets.group_ip4, packets.group_mac),
        (4, packets.high_group_ip4, packets.high_group_mac),
        (6, packets.group_ip6, packets.group6_mac),
        (4, packets.limited_broadcast_ip4, packets.broadcast_mac),
        (4, packets.subnet_broadcast_ip4, packets.broadcast_mac),
    ],
)
def test_what_goes_to_a_group_has_the_groups_mac_again(kernel: Lab, version, dst, mac):
    kernel.back(flags=abi.constant("SEG_PORT_PEER_OK"))
    frame = f.link("in", dst=packets.bcmac) / f.ip("in", version, dst=dst) / f.udp()
    got = kernel.run("vbr", bytes(frame))
    assert (got.verdict, got.reason) == (REDIRECT, "from_engine")
    assert got.frame[:6] == bytes.fromhex(mac.replace(":", ""))
    assert got.frame[6:] == bytes(frame)[6:]


@pytest.mark.parametrize(
    "macs",
    [
        {},
        {"src": UCMAC, "dst": UCMAC},
        {"src": UCMAC, "dst": OTHER},
        {"dst": packets.tapmac(PORT).hex(":")},
        {"src": packets.tapmac(PORT).hex(":")},
    ],
    ids=["none", "both", "two ports", "a copy", "a copy out"],
)
def test_exactly_one_mac_is_a_detours(kernel: Lab, macs):
    kernel.back()
    got = kernel.run("vbr", from_engine("in", **macs))
    assert (got.verdict, got.reason) == (SHOT, "detour_macs")


@pytest.mark.parametrize("macs", [{"dst": OTHER}, {"src": OTHER}])
def test_an_unknown_port_is_left_to_the_filters_behind(kernel: Lab, macs):
    """It may be the u32 datapath's; where nobody stands behind, the mute stack ends it."""
    kernel.back()
    frame = from_engine("in", **macs)
    got = kernel.run("vbr", frame)
    assert (got.verdict, got.reason, got.frame) == (UNSPEC, "detour_unknown", frame)


@pytest.mark.parametrize("macs", [{"dst": OTHER}, {"src": OTHER}])
def test_another_datapaths_port_is_left_to_it_without_a_word(kernel: Lab, macs):
    """Each of its frames comes by here: counted, they would all be told as drops."""
    kernel.back()
    kernel.elsewhere(OTHER_PORT)
    frame = from_engine("in", **macs)
    got = kernel.run("vbr", frame)
    assert (got.verdict, got.reasons, got.frame) == (UNSPEC, {}, frame)


def test_port_zero_is_no_port(kernel: Lab):
    frame = from_engine("in", dst=abi.ucmac(0).hex(":"))
    assert kernel.run("vbr", frame).verdict == UNSPEC


def test_a_quarantine_reaches_what_is_still_in_the_engine(kernel: Lab):
    kernel.back(flags=abi.constant("SEG_PORT_QUARANTINE"))
    got = kernel.run("vbr", from_engine("in", dst=UCMAC))
    assert (got.verdict, got.reason) == (SHOT, "quarantine")

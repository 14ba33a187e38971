"""Bridges as they are told from a host's links."""

from __future__ import annotations

import pytest

from pyctl.intercept.survey.segments import Found, add_segments, segment_number
from pyctl.platform.netlink.links import Link
from tests import packets
from tests.unit.policy.makers import port

HOST = (4, 4026531840)


def link(index: int, kind: str, mac: str, master: int = 0) -> Link:
    return Link(
        index=index,
        name=f"link{index}",
        flags=0,
        kind=kind,
        mac=mac,
        mtu=1500,
        txqlen=1000,
        group=0,
        alias="",
        master=master,
        link=0,
        link_nsid=None,
        queues=(1, 1),
        sizes=(),
        addr_gen_mode=None,
        token="",
        altnames=(),
        xdp=False,
    )


def known(*found: Link) -> dict[int, Link]:
    return {one.index: one for one in found}


BRIDGE = link(5, "bridge", packets.gateway_mac)
ONE = link(6, "veth", packets.pod_one_mac, master=5)
TWO = link(7, "veth", packets.pod_two_mac, master=5)


@pytest.mark.parametrize(
    ("uplink", "closed"), [("", False), ("vxlan", False), ("veth", True)]
)
def test_a_bridge_is_closed_while_all_of_its_ports_are_veths(uplink, closed):
    found = Found()
    more = link(8, uplink, packets.stranger_mac, master=5)
    add_segments(found, HOST, known(BRIDGE, ONE, TWO, more), {300: 6, 301: 7})
    number = segment_number(HOST, 5)
    assert found.by_port == {300: number, 301: number}
    (segment,) = found.segments.values()
    assert segment.closed is closed
    macs = (BRIDGE, ONE, TWO, more)
    assert segment.host_macs == {one.mac for one in macs}
    on, off = found.located(port(300)), found.located(port(302))
    assert (on.segment, on.closed) == (number, closed)
    assert (off.segment, off.closed) == (0, False)


def test_what_is_on_no_bridge_is_on_no_segment():
    found = Found()
    bond = link(9, "bond", packets.stranger_mac)
    enslaved = link(6, "veth", packets.pod_one_mac, master=9)
    routed = link(7, "veth", packets.pod_two_mac)
    add_segments(found, HOST, known(bond, enslaved, routed), {300: 6, 301: 7, 302: 99})
    assert found == Found()


def test_a_bridge_has_one_number_which_is_never_none():
    assert segment_number(HOST, 5) == segment_number(HOST, 5) > 0
    assert segment_number(HOST, 5) != segment_number((4, 1), 5)
    assert segment_number(HOST, 5) != segment_number(HOST, 6)

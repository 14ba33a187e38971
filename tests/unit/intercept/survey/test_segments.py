"""Bridges as they are told from a host's links."""

from __future__ import annotations

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept.survey.segments import (
    Found,
    add_segments,
    read_segments,
    segment_number,
    segment_of,
)
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from tests import packets
from tests.unit.intercept.played import splice
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


def bridged(kernel):
    """Make the host's end of eth0 a bridge's port; return the bridge's number."""
    bridge = kernel.device(kernel.host, "br0", "bridge")
    kernel.host.device("eth0-far").master = bridge.index
    return segment_number(kernel.host.identity, bridge.index)


def before(kernel, name="eth0"):
    """The bridge of an interface that is not spliced."""
    nl = kernel.socket(kernel.pod)
    return segment_of(nl, links.by_name(nl, name))


def test_an_interface_has_the_bridge_before_the_splice_that_its_port_has_after(kernel):
    number = bridged(kernel)
    assert before(kernel) == number
    one, _ = splice(kernel)
    watched = []
    found = read_segments(
        kernel.instance, [one, port(9)], lambda at, _fd: watched.append(at)
    )
    assert found.by_port == {one.port_id: number}
    assert found.segments[number].closed
    assert watched == [kernel.host.identity], "so that a change is heard"


def test_what_is_on_no_bridge_of_the_hosts_has_none(kernel):
    assert before(kernel) == 0, "it is routed"
    kernel.host.device("eth0-far").master = kernel.device(
        kernel.host, "bond0", "bond"
    ).index
    assert before(kernel) == 0
    kernel.device(kernel.pod, "mac0", "macvlan", other=kernel.host.device("lo"))
    assert before(kernel, "mac0") == 0
    one, two = (kernel.device(kernel.pod, f"v{n}", links.VETH) for n in "12")
    one.other, two.other = two, one
    assert before(kernel, "v1") == 0


def test_a_peer_in_a_namespace_that_the_host_does_not_name_is_nowhere(kernel):
    bridged(kernel)
    far, hidden = kernel.eth0.other, kernel.space("hidden")
    kernel.host.devices.remove(far)
    far.space = hidden
    hidden.devices.append(far)
    assert before(kernel) == 0
    one, _ = splice(kernel)
    assert read_segments(kernel.instance, [one], lambda *_: None) == Found()


def test_without_the_enforcers_namespace_nothing_is_read(kernel):
    with pytest.raises(NotFoundError):
        read_segments(kernel.instance, [], lambda *_: None)

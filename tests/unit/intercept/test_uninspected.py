"""Which interfaces lead out beside a splice, and that the host's end of one can be set down."""

from __future__ import annotations

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept.uninspected import set_host_side, uninspected
from pyctl.intercept.survey import costs
from pyctl.platform.netlink import links
from tests import packets
from tests.unit.intercept.played import splice
from tests.unit.intercept.spaces import address


@pytest.fixture
def spliced(kernel):
    """Name: spliced. Scope: function. Depends: kernel. Its eth0 is."""
    kernel.port, _ = splice(kernel)
    return kernel


def seen(kernel):
    found = uninspected(kernel.instance, kernel.process)
    return {one.interface: one.reason for one in found}


def give(kernel, device, text="198.51.100.7"):
    kernel.addresses(device, address(text, 24, index=device.index))
    return device


def test_of_a_workload_that_is_spliced_whole_nothing_is(spliced):
    assert seen(spliced) == {}


def test_an_interface_that_came_later_is_until_it_is_spliced(spliced):
    spliced.cable(spliced.pod, "eth1", 5)
    assert seen(spliced) == {"eth1": "it is not spliced"}
    splice(spliced, "eth1", port_id=8)
    assert seen(spliced) == {}


def test_one_that_is_down_may_come_up(spliced):
    spliced.cable(spliced.pod, "eth1", 5, up=False)
    assert seen(spliced) == {"eth1": "it is down, and not spliced yet"}


def test_one_in_a_bond_cannot_be_spliced_and_says_so(spliced):
    bond = spliced.device(spliced.pod, "bond0", "bond")
    spliced.cable(spliced.pod, "eth1", 5).master = bond.index
    assert seen(spliced) == {"eth1": "it is a port of bond0 (bond)"}


def test_a_veth_to_a_container_inside_leads_out_of_nothing(spliced):
    inside = spliced.space("inside")
    near = spliced.cable(inside, "eth0", 2)
    far = near.other
    spliced.host.devices.remove(far)
    far.space = spliced.pod
    far.name = "veth-in"
    far.index = spliced.pod.free_index()
    spliced.pod.devices.append(far)
    assert seen(spliced) == {}
    give(spliced, far)
    assert seen(spliced) == {"veth-in": "it is not spliced"}


def test_one_to_a_container_inside_with_too_many_addresses_is_not_spliced_unasked(
    spliced, monkeypatch
):
    monkeypatch.setattr(costs, "UNASKED_ADDRESSES_MAX", 0)
    inside = spliced.space("inside")
    near = spliced.cable(inside, "eth0", 2)
    far = near.other
    spliced.host.devices.remove(far)
    far.space, far.name = spliced.pod, "veth-in"
    far.index = spliced.pod.free_index()
    spliced.pod.devices.append(far)
    give(spliced, far)
    assert "more than 0 addresses" in seen(spliced)["veth-in"]
    # What leads to the host's side is made by others, and is spliced with any number.
    give(spliced, spliced.cable(spliced.pod, "eth1", 5))
    assert seen(spliced)["eth1"] == "it is not spliced"


def test_a_veth_within_the_namespace_leads_nowhere(spliced):
    one, two = (spliced.device(spliced.pod, f"v{n}", links.VETH) for n in "12")
    one.other, two.other = two, one
    give(spliced, one)
    assert seen(spliced) == {}


@pytest.mark.parametrize(
    ("kind", "elsewhere", "addressed", "why"),
    [
        ("", False, False, "it is a physical interface"),
        ("vlan", True, False, "it is of kind vlan"),
        ("ipvlan", True, False, "it is of kind ipvlan"),
        ("vlan", False, True, None),
        ("bridge", False, True, None),
        ("tun", False, True, "it is of kind tun, and leads to a process"),
        ("tun", False, False, None),
    ],
)
def test_other_kinds_lead_out_where_what_is_below_them_does(
    spliced, kind, elsewhere, addressed, why
):
    below = spliced.host.device("lo") if elsewhere else spliced.pod.device("eth0")
    device = spliced.device(spliced.pod, "x0", kind, other=below if kind else None)
    if addressed:
        give(spliced, device)
    assert seen(spliced) == ({"x0": why} if why else {})


def test_of_an_ended_workload_nothing_is_known(spliced):
    spliced.ended.add(spliced.process.netns)
    with pytest.raises(NotFoundError):
        uninspected(spliced.instance, spliced.process)


def side(kernel, interface, *, up):
    return set_host_side(kernel.instance, kernel.process, interface, up=up)


def test_the_hosts_end_is_set_where_the_workload_cannot_set_it_back(spliced):
    eth1 = spliced.cable(spliced.pod, "eth1", 5)
    assert side(spliced, "eth1", up=False)
    assert (eth1.up, eth1.other.up) == (True, False)
    assert side(spliced, "eth1", up=True)
    assert eth1.other.up


def test_it_is_found_through_the_splice_that_came_meanwhile(spliced):
    far = spliced.host.device("eth0-far")
    assert side(spliced, "eth0", up=False)
    assert not far.up
    assert spliced.enforcer.device(spliced.port.vex).up


def test_without_its_original_a_spliced_one_is_set_itself(spliced):
    vex = spliced.enforcer.device(spliced.port.vex)
    spliced.enforcer.devices.remove(vex)
    assert not side(spliced, "eth0", up=False)
    assert not spliced.pod.device("eth0").up


def test_one_without_an_end_at_the_host_is_set_itself(spliced):
    tun = spliced.device(spliced.pod, "tun0", "tun", flags=links.IFF_UP)
    assert not side(spliced, "tun0", up=False)
    assert not tun.up


def test_one_that_is_gone_needs_no_end(spliced):
    changed = len(spliced.changes)
    assert side(spliced, "eth7", up=False)
    assert len(spliced.changes) == changed


def test_an_address_of_the_link_alone_leads_nowhere(spliced):
    tun = spliced.device(spliced.pod, "tun0", "tun")
    body = address(packets.link_local_ip6, 64, scope=253, index=tun.index)
    spliced.addresses(tun, body)
    assert seen(spliced) == {}

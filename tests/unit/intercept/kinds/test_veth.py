"""A veth's other end is at the host."""

from __future__ import annotations

from pyctl.intercept.kinds.veth import Veth
from pyctl.platform.netlink import links
from tests.unit.policy.makers import port


def test_its_peer_is_known_and_needs_nothing_of_vex():
    assert Veth().has_peer
    assert Veth().vex_flags == 0


def test_ours_has_the_offloads_of_the_interface_whose_place_it_takes():
    one = port(1)
    assert Veth().offload_model(one) == one.vex


def test_it_is_what_our_own_interfaces_are():
    assert Veth.name == links.VETH

"""A macvlan hears what its parent hands it."""

from __future__ import annotations

from pyctl.intercept.kinds.macvlan import Macvlan
from pyctl.platform.netlink import links
from tests.unit.policy.makers import port


def test_it_has_no_peer_and_hears_all_groups():
    assert not Macvlan().has_peer
    assert Macvlan().vex_flags == links.IFF_ALLMULTI


def test_its_offloads_are_no_veth_s_so_vin_says_what_ours_has():
    one = port(1)
    assert Macvlan().offload_model(one) == one.vin

"""Whom an address stands for."""

from __future__ import annotations

from ipaddress import ip_address

from pyctl.model.policy import Holder, Members
from tests import packets

ALONE, SHARED = ip_address(packets.pod_one_ip4), ip_address(packets.pod_two_ip4)


def test_an_address_stands_for_each_workload_that_has_it():
    members = Members(
        addresses={ALONE: (1, 2)}, shared={SHARED: (Holder((1,)), Holder((3,)))}
    )
    assert members.of_address(ALONE) == (Holder((1, 2)),)
    assert members.of_address(SHARED) == (Holder((1,)), Holder((3,)))
    assert members.of_address(ip_address(packets.world_ip4)) == ()

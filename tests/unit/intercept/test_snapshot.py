"""Snapshots survive the disk, and tell each difference."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest

from pyctl.intercept.snapshot import Snapshot, differences, from_json
from pyctl.platform import l3
from pyctl.platform.netlink import attr
from tests import packets
from tests.unit.intercept.conftest import address


def test_a_snapshot_comes_back_from_json(snapshot: Snapshot) -> None:
    assert from_json(json.loads(json.dumps(snapshot.to_json()))) == snapshot


def test_equal_snapshots_do_not_differ(snapshot: Snapshot) -> None:
    assert differences(snapshot, snapshot) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "eth1"),
        ("index", 3),
        ("mac", packets.stranger_mac),
        ("mtu", 1400),
        ("txqlen", 5),
        ("group", 1),
        ("alias", "x"),
        ("altnames", ()),
        ("addr_gen_mode", 1),
        ("flags", 0),
    ],
)
def test_each_link_attribute_counts(
    snapshot: Snapshot, field: str, value: object
) -> None:
    other = replace(snapshot, link=replace(snapshot.link, **{field: value}))
    assert len(differences(snapshot, other)) >= 1


def test_the_kind_of_device_does_not_count(snapshot: Snapshot) -> None:
    other = replace(snapshot, link=replace(snapshot.link, kind="macvlan", link=1))
    assert differences(snapshot, other) == []


def test_a_lost_and_a_new_address_are_told(snapshot: Snapshot) -> None:
    new = address(packets.leased_ip4, 24)
    other = replace(snapshot, addresses=(*snapshot.addresses[1:], new))
    assert [line.split(":")[0] for line in differences(snapshot, other)] == [
        "address lost",
        "address added",
    ]


def test_the_order_of_addresses_counts(snapshot: Snapshot) -> None:
    """The first address of a subnet is the one that senders get."""
    other = replace(snapshot, addresses=snapshot.addresses[::-1])
    assert differences(snapshot, other) == ["addresses: another order"]


def test_running_clocks_do_not_count(snapshot: Snapshot) -> None:
    def aged(body: bytes, left: int) -> bytes:
        return body + attr(l3.IFA_CACHEINFO, struct.pack("=IIII", left, left, 1, left))

    one = replace(snapshot, addresses=(aged(snapshot.addresses[0], 100),))
    two = replace(snapshot, addresses=(aged(snapshot.addresses[0], 99),))
    three = replace(snapshot, addresses=(aged(snapshot.addresses[0], l3.INFINITE),))
    assert differences(one, two) == []
    assert differences(one, three) != []


def test_a_lost_route_counts_and_a_strangers_new_one_does_not(
    snapshot: Snapshot,
) -> None:
    other_device = l3.default_route(2, 5, 200, 1500)
    grown = replace(snapshot, routes=(*snapshot.routes, other_device))
    assert differences(snapshot, grown) == []
    assert len(differences(snapshot, replace(snapshot, routes=()))) == 1


def test_offloads_count_between_devices_of_one_kind(snapshot: Snapshot) -> None:
    other = replace(snapshot, offloads=(1, 0))
    assert len(differences(snapshot, other)) == 1
    macvlan = replace(other, link=replace(other.link, kind="macvlan"))
    assert differences(snapshot, macvlan) == []


def test_a_changed_sysctl_is_told(snapshot: Snapshot) -> None:
    other = replace(snapshot, sysctls={"ipv4/conf/rp_filter": "0"})
    assert differences(snapshot, other) == [
        "sysctl ipv4/conf/rp_filter: '2' is now '0'"
    ]

"""What the kernel is told of whose addresses and MACs are whose."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from pyctl import abi
from pyctl.datapath.owners import Owners, network_changes
from pyctl.model.workload import Segment, Service
from tests import packets
from tests.unit.datapath.makers import PAIR

SEGMENT = 77
BRIDGE = {SEGMENT: Segment(frozenset({packets.gateway_mac}), closed=True)}
ONE = replace(PAIR, port_id=1, owner=1, segment=SEGMENT)
TWO = replace(
    ONE,
    port_id=2,
    owner=2,
    mac=packets.pod_two_mac,
    addresses=(f"{packets.pod_two_ip4}/24",),
)


def told(changes):
    """(map, segment, address or MAC) → owner, None where it goes."""
    found = {}
    for (name, raw), value in changes.items():
        if name == "seg_owners":
            key, held = abi.unpack("seg_owner_key", raw), "seg_owner"
            what = ".".join(map(str, list(key.addr)[:4]))
        else:
            key, held = abi.unpack("seg_mac_key", raw), "seg_mac"
            what = bytes(key.mac).hex(":")
        owner = abi.unpack(held, value).owner if value is not None else None
        found[key.segment, what] = owner
    return found


def test_an_address_is_known_everywhere_and_on_its_segment():
    assert told(Owners().follow({1: ONE}, BRIDGE)) == {
        (0, packets.pod_one_ip4): 1,
        (SEGMENT, packets.pod_one_ip4): 1,
        (SEGMENT, packets.pod_one_mac): 1,
        (SEGMENT, packets.gateway_mac): 0,
    }


def test_a_spare_address_is_known_until_another_has_it():
    text = f"{packets.leased_ip4}/32"
    spare = replace(ONE, spare=(text,))
    owners = Owners()

    def known(changes):
        key = abi.pack(
            "seg_owner_key", family=4, addr=list(ip_address(packets.leased_ip4).packed)
        )
        held = abi.unpack("seg_owner", changes["seg_owners", key])
        return held.owner, held.spare

    assert known(owners.follow({1: spare}, BRIDGE)) == (1, 1)
    other = replace(TWO, addresses=(*TWO.addresses, text))
    assert known(owners.follow({1: spare, 2: other}, BRIDGE)) == (2, 0)


@pytest.mark.parametrize(
    "segments",
    [{}, {SEGMENT: replace(BRIDGE[SEGMENT], closed=False)}],
    ids=["unknown", "open"],
)
def test_where_others_may_be_on_the_segment_its_addresses_have_no_one_mac(segments):
    found = told(Owners().follow({1: ONE}, segments))
    assert (SEGMENT, packets.pod_one_ip4) not in found
    assert found[SEGMENT, packets.pod_one_mac] == 1


def test_only_what_differs_is_told():
    owners = Owners()
    owners.follow({1: ONE}, BRIDGE)
    assert told(owners.follow({1: ONE, 2: TWO}, BRIDGE)) == {
        (0, packets.pod_two_ip4): 2,
        (SEGMENT, packets.pod_two_ip4): 2,
        (SEGMENT, packets.pod_two_mac): 2,
    }
    assert owners.follow({1: ONE, 2: TWO}, BRIDGE) == {}
    gone = told(owners.follow({2: TWO}, BRIDGE))
    assert set(gone.values()) == {None}
    assert (0, packets.pod_one_ip4) in gone


def test_an_address_of_several_is_nobodys_and_goes_to_who_stays():
    owners = Owners()
    twin = replace(TWO, addresses=ONE.addresses)
    owners.follow({1: ONE}, BRIDGE)
    assert told(owners.follow({1: ONE, 2: twin}, BRIDGE))[0, packets.pod_one_ip4] == 0
    assert told(owners.follow({2: twin}, BRIDGE))[0, packets.pod_one_ip4] == 2


def test_a_segment_says_whether_an_address_of_its_is_anothers_elsewhere():
    """With all of its MACs, and only while it is so."""
    other = SEGMENT + 1
    segments = {**BRIDGE, other: Segment(frozenset(), closed=True)}
    twin = replace(TWO, addresses=ONE.addresses, segment=other)
    owners = Owners()

    def twins(changes):
        return {
            bytes(abi.unpack("seg_mac_key", raw).mac).hex(":"): abi.unpack(
                "seg_mac", value
            ).twins
            for (name, raw), value in changes.items()
            if name == "seg_macs" and value is not None
        }

    assert twins(owners.follow({1: ONE}, segments)) == {
        packets.pod_one_mac: 0,
        packets.gateway_mac: 0,
    }
    macs = (packets.pod_one_mac, packets.pod_two_mac, packets.gateway_mac)
    both = owners.follow({1: ONE, 2: twin}, segments)
    assert twins(both) == dict.fromkeys(macs, 1)
    alone = owners.follow({1: ONE}, segments)
    assert twins(alone) == {packets.pod_one_mac: 0, packets.gateway_mac: 0}
    neighbour = replace(twin, segment=SEGMENT)
    assert not any(twins(owners.follow({1: ONE, 2: neighbour}, segments)).values())


def test_two_ports_of_one_workload_are_one_owner():
    second = replace(TWO, owner=1, addresses=ONE.addresses)
    found = told(Owners().follow({1: ONE, 2: second}, BRIDGE))
    assert found[0, packets.pod_one_ip4] == 1


def test_a_mac_says_what_its_workload_serves():
    served = replace(ONE, serves=(Service.DHCP, Service.ROUTER))
    changes = Owners().follow({1: served, 2: TWO}, BRIDGE)
    found = {
        bytes(abi.unpack("seg_mac_key", raw).mac).hex(":"): abi.unpack("seg_mac", held)
        for (name, raw), held in changes.items()
        if name == "seg_macs"
    }
    serves = [
        abi.constant("SEG_SERVES_ROUTER") | abi.constant("SEG_SERVES_DHCP"),
        *(0, 0),
    ]
    macs = (packets.pod_one_mac, packets.pod_two_mac, packets.gateway_mac)
    assert [found[mac].serves for mac in macs] == serves


def test_all_entries_are_those_of_all_changes():
    owners = Owners()
    changes = owners.follow({1: ONE, 2: TWO}, BRIDGE)
    assert owners.entries() == changes
    owners.follow({}, {})
    assert owners.entries() == {}


def test_networks_come_and_go_without_those_that_are_everywhere():
    one, two = ip_network(packets.world_net_ip4), ip_network(packets.world_net_ip6)
    everywhere = ip_network("0.0.0.0/0")
    assert len(network_changes([], [one, everywhere])) == 1
    changes = network_changes([one], [two])
    assert sorted(value is None for value in changes.values()) == [False, True]
    (key,) = (raw for (_, raw), value in changes.items() if value is not None)
    assert abi.unpack("seg_net_key", key).prefix_len == 8 + two.prefixlen

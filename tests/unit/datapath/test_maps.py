"""Map entries as rows: decoded from the same structs that the programs write."""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import time

import pytest

from pyctl import abi
from pyctl.datapath import maps
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Counter
from tests import packets


class FakeMap:
    def __init__(self, entries):
        self._entries = entries

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def entries(self):
        return iter(self._entries)

    def split(self, value):
        size = abi.sizeof("seg_counter")
        return [value[at : at + size] for at in range(0, len(value), size)]


@pytest.fixture
def dump(monkeypatch):
    """Rows of one map that holds these entries."""

    def decoded(name, *entries):
        monkeypatch.setattr(maps, "open_map", lambda *_: FakeMap(entries))
        rows = maps.dump_maps(Instance("one"), name)[name]
        return json.loads(json.dumps(rows))

    return decoded


def u32(value):
    return struct.pack("=I", value)


def mac(text):
    return list(bytes.fromhex(text.replace(":", "")))


def test_a_port_reads_as_words(dump):
    value = abi.pack(
        "seg_port",
        peer_ifindex=8,
        port_id=5,
        role=abi.constant("SEG_ROLE_VIN"),
        mode=abi.constant("SEG_MODE_PROTECT"),
        mac=mac(packets.pod_one_mac),
        flags=abi.constant("SEG_PORT_FAIL_OPEN") | abi.constant("SEG_PORT_PEER_OK"),
    )
    [row] = dump("seg_ports", (u32(7), value))
    assert row["ifindex"] == 7
    assert (row["role"], row["mode"], row["mac"]) == (
        "vin",
        "protect",
        packets.pod_one_mac,
    )
    assert row["flags"] == ["fail_open", "peer_ok"]


def test_empty_places_of_arrays_are_no_rows(dump):
    empty = bytes(abi.sizeof("seg_reinject_port"))
    full = abi.pack("seg_reinject_port", vex_ifindex=1, vin_ifindex=2)
    assert [
        row["port_id"] for row in dump("seg_reinject", (u32(1), empty), (u32(2), full))
    ] == [2]
    assert dump("seg_gens", (u32(1), bytes(8)), (u32(2), struct.pack("=Q", 9))) == [
        {"port_id": 2, "generation": 9}
    ]


@pytest.mark.parametrize(
    ("version", "ends"),
    [
        (4, (packets.pod_one_ip4, packets.world_ip4)),
        (6, (packets.pod_one_ip6, packets.world_ip6)),
    ],
)
def test_a_flow_reads_as_addresses_and_ports(dump, version, ends):
    local, remote = (ipaddress.ip_address(end).packed for end in ends)
    both = {"local": local, "remote": remote}
    if version == 4:
        addresses = {name: struct.unpack("=I", raw)[0] for name, raw in both.items()}
    else:
        addresses = {name: list(raw) for name, raw in both.items()}
    key = abi.pack(
        f"seg_flow_key{version}",
        port_id=5,
        proto=6,
        local_port=socket.htons(40000),
        remote_port=socket.htons(443),
        **addresses,
    )
    before = time.monotonic_ns()
    value = abi.pack(
        "seg_flow",
        packets=[3, 4],
        bytes=[30, 40],
        last_seen=before >> 18 & 0xFFFFFFFF,
        ways=[{"verdict": abi.constant("SEG_VERDICT_DENY"), "closed": 1}, {}],
    )
    [row] = dump(f"seg_flows{version}", (key, value))
    assert (row["local"], row["remote"]) == ends
    assert (row["local_port"], row["remote_port"]) == (40000, 443)
    assert (row["port_id"], row["protocol"]) == (5, "tcp")
    there = {name: row[f"egress_{name}"] for name in WAY}
    assert there == {"verdict": "deny", "packets": 3, "bytes": 30, "closed": ["fin"]}
    back = {name: row[f"ingress_{name}"] for name in WAY}
    assert back == {"verdict": None, "packets": 4, "bytes": 40, "closed": []}
    assert 0 <= before - row["last_seen_ns"] < 1 << 18
    assert row["timeout_ns"] == 1200 * 10**9


WAY = ("verdict", "packets", "bytes", "closed")


@pytest.mark.parametrize(
    ("version", "proto", "name"), [(4, 1, "icmp"), (6, 58, "icmp6")]
)
@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_an_echo_flow_shows_who_asks_and_the_identifier(
    dump, version, proto, name, direction
):
    asked = abi.constant(f"SEG_DIR_{direction.upper()}")
    ports = {
        "local_port": socket.htons(77),
        "remote_port": socket.htons(asked << 8 | 8),
    }
    key = abi.pack(f"seg_flow_key{version}", proto=proto, **ports)
    [row] = dump(f"seg_flows{version}", (key, bytes(abi.sizeof("seg_flow"))))
    assert (row["icmp_type"], row["icmp_id"], row["direction"]) == (8, 77, direction)
    assert (row["protocol"], row["timeout_ns"]) == (name, 5 * 10**9)


def test_counters_are_summed_over_cpus(dump):
    key = abi.pack("seg_counter_key", port_id=5, reason=abi.REASON["arp"].number)
    value = abi.pack("seg_counter", packets=1, bytes=60) * 3
    [row] = dump("seg_counters", (key, value))
    assert row == {
        "port_id": 5,
        "reason": "arp",
        "packets": 3,
        "bytes": 180,
        "passed": 0,
    }


def test_no_cpu_counts_nothing():
    assert maps.sum_counter([]) == Counter()


def test_addresses_of_both_families(dump):
    rows = []
    for family, text in ((4, packets.pod_one_ip4), (6, packets.pod_one_ip6)):
        raw = ipaddress.ip_address(text).packed.ljust(16, b"\0")
        key = abi.pack("seg_addr_key", owner=5, family=family, kind=1, addr=list(raw))
        rows.append((key, b"\1"))
    assert [(row["address"], row["kind"]) for row in dump("seg_addrs", *rows)] == [
        (packets.pod_one_ip4, "own"),
        (packets.pod_one_ip6, "own"),
    ]


@pytest.mark.parametrize("ring", ["seg_events", "seg_closes"])
def test_a_ring_is_not_listed(dump, ring):
    with pytest.raises(SegctlError):
        dump(ring)


def raw(text: str) -> list[int]:
    return list(ipaddress.ip_address(text).packed.ljust(16, b"\0"))


@pytest.mark.parametrize(
    ("steered", "told"),
    [
        (abi.constant("SEG_PRODUCER_NONE"), None),
        (abi.constant("SEG_PRODUCER_MANY"), "several"),
        (1, 0),
        (3, 2),
    ],
)
def test_who_steers_is_a_cpu_several_or_none(dump, steered, told):
    value = abi.pack("seg_control", heartbeat_ns=5, producer_cpu=steered)
    [row] = dump("seg_control", (u32(0), value))
    assert (row["heartbeat_ns"], row["producer_cpu"]) == (5, told)


def test_each_engine_that_shares_the_packets_has_a_row(dump):
    values = [
        abi.pack("seg_control", workers=2 * (not n), heartbeat_ns=n) for n in range(3)
    ]
    rows = dump("seg_control", *((u32(n), value) for n, value in enumerate(values)))
    assert [(row["worker"], row["heartbeat_ns"]) for row in rows] == [(0, 0), (1, 1)]


def test_owners_are_ports_or_several(dump):
    def key(segment: int) -> bytes:
        addr = raw(packets.pod_one_ip4)
        return abi.pack("seg_owner_key", segment=segment, family=4, addr=addr)

    rows = dump(
        "seg_owners",
        (key(8), abi.pack("seg_owner", owner=0)),
        (key(7), abi.pack("seg_owner", owner=300, spare=1)),
    )
    assert rows == [
        {"segment": 7, "address": packets.pod_one_ip4, "owner": 300, "spare": True},
        {
            "segment": 8,
            "address": packets.pod_one_ip4,
            "owner": "several",
            "spare": False,
        },
    ]


def test_macs_are_ports_or_the_hosts_with_what_they_serve(dump):
    def key(text: str) -> bytes:
        return abi.pack("seg_mac_key", segment=7, mac=mac(text))

    served = abi.constant("SEG_SERVES_DHCP")
    rows = dump(
        "seg_macs",
        (key(packets.gateway_mac), abi.pack("seg_mac", owner=0)),
        (
            key(packets.pod_one_mac),
            abi.pack("seg_mac", owner=300, serves=served, twins=1),
        ),
    )
    found = {row["mac"]: (row["owner"], row["serves"], row["twins"]) for row in rows}
    assert found == {
        packets.gateway_mac: ("host", [], False),
        packets.pod_one_mac: (300, ["dhcp"], True),
    }


def test_networks_are_told_without_the_byte_of_their_family(dump):
    net = ipaddress.ip_network(packets.net_ip4)
    key = abi.pack(
        "seg_net_key",
        prefix_len=net.prefixlen + 8,
        family=4,
        addr=raw(str(net.network_address)),
    )
    assert dump("seg_nets", (key, u32(1))) == [{"network": packets.net_ip4}]


def test_a_class_is_told_by_version_and_network(dump):
    net = ipaddress.ip_network(packets.net_ip4)
    alone = ipaddress.ip_network(packets.pod_one_ip6)

    def key(of):
        addr = raw(str(of.network_address))
        return abi.pack(
            "seg_class_key",
            prefix_len=of.prefixlen + 40,
            version=3,
            family=of.version,
            addr=addr,
        )

    assert dump("seg_classes", (key(net), u32(7)), (key(alone), u32(0))) == [
        {"version": 3, "network": packets.net_ip4, "class": 7},
        {"version": 3, "network": f"{packets.pod_one_ip6}/128", "class": "ask"},
    ]


def test_a_service_names_its_peers_by_class(dump):
    key = abi.pack(
        "seg_service_key",
        port_id=5,
        dir=abi.constant("SEG_DIR_INGRESS"),
        proto=6,
        family=4,
        service_port=socket.htons(443),
        peer_class=3 << 32 | 7,
        local=raw(packets.pod_one_ip4),
    )
    allow = abi.constant("SEG_VERDICT_ALLOW")
    value = abi.pack("seg_service", verdict=allow, rule_id=9, generation=2)
    [row] = dump("seg_services", (key, value))
    assert row == {
        "port_id": 5,
        "direction": "ingress",
        "protocol": "tcp",
        "address": packets.pod_one_ip4,
        "peer_version": 3,
        "peer_class": 7,
        "destination_port": 443,
        "verdict": "allow",
        "rule_id": 9,
        "generation": 2,
    }

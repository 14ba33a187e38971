"""Snapshots survive the disk, and tell each difference."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import replace
from typing import cast

import pytest

from pyctl.intercept.restore import snapshot as snapshot_module
from pyctl.intercept.restore.snapshot import Snapshot, cut_off, differences, from_json
from pyctl.platform import netns, offloads
from pyctl.platform.bridge.port import BridgePort
from pyctl.platform.netlink import advertised, l3, links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import attr
from tests import packets
from tests.unit.intercept.conftest import address
from tests.unit.intercept.played import Kernel as Host
from tests.unit.intercept.spaces import ON


def test_a_snapshot_comes_back_from_json(snapshot: Snapshot) -> None:
    assert from_json(json.loads(json.dumps(snapshot.to_json()))) == snapshot


def test_a_bridge_s_port_comes_back_from_json(snapshot: Snapshot) -> None:
    port = BridgePort(3, ((33, b"\1"),), (8,), (b"v",), (b"s",), (b"g",))
    bridged = replace(snapshot, port=port)
    assert from_json(json.loads(json.dumps(bridged.to_json()))) == bridged


def test_equal_snapshots_do_not_differ(snapshot: Snapshot) -> None:
    assert differences(snapshot, snapshot) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "eth1"),
        ("index", 3),
        ("mac", packets.stranger_mac),
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


def test_a_smaller_mtu_does_not_count(snapshot: Snapshot) -> None:
    """A macvlan's parent may lower it at any moment; a splice must not fail of it."""
    other = replace(snapshot, link=replace(snapshot.link, mtu=1400))
    assert differences(snapshot, other) == []


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


def test_what_a_router_announces_meanwhile_is_no_difference(snapshot: Snapshot) -> None:
    aged = attr(l3.IFA_CACHEINFO, struct.pack("=IIII", 600, 600, 1, 1))
    announced = address(packets.pod_two_ip6, 64) + aged
    after = replace(snapshot, addresses=(*snapshot.addresses, announced))
    assert differences(snapshot, after) == []
    assert differences(after, snapshot) == [f"address lost: {packets.pod_two_ip6}/64"]


def test_the_order_of_addresses_counts(snapshot: Snapshot) -> None:
    """The first address of a subnet is the one that senders get."""
    other = replace(snapshot, addresses=snapshot.addresses[::-1])
    assert differences(snapshot, other) == ["addresses: another order"]


def test_very_many_addresses_are_compared_in_linear_time(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that counts its comparisons: in a list each would be sought among all."""
    compared = []

    class Key(bytes):
        __hash__ = bytes.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(self)
            return bytes.__eq__(self, other)  # type: ignore[arg-type]

    key = l3.address_key
    monkeypatch.setattr(l3, "address_key", lambda body: Key(key(body)))
    many = tuple(address(f"10.9.{n // 250}.{n % 250 + 1}", 32) for n in range(1000))
    before = replace(snapshot, addresses=many)
    assert differences(before, before) == []
    assert len(compared) < 20 * len(many)


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


def test_a_lost_advertised_route_counts_and_a_renewed_or_new_one_does_not(
    snapshot: Snapshot,
) -> None:
    def router(index: int, *more: bytes) -> bytes:
        return l3.default_route(10, index, 1024, 1500) + b"".join(more)

    renewed = router(2, attr(l3.RTA_CACHEINFO, bytes(32)))
    before = replace(snapshot, advertised=(router(2),))
    assert differences(before, replace(snapshot, advertised=(renewed, router(3)))) == []
    assert differences(before, snapshot) == [
        "advertised route lost: default dev 2 metric 1024"
    ]


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


def test_one_address_less_cuts_nobody_off_and_none_does(snapshot: Snapshot) -> None:
    fewer = replace(snapshot, addresses=snapshot.addresses[:2])
    assert cut_off(snapshot, fewer) == []
    none = replace(snapshot, addresses=snapshot.addresses[1:])
    assert cut_off(snapshot, none) == [
        f"address lost: {packets.pod_one_ip4}/{packets.prefix_ip4}"
    ]


def test_without_its_way_out_or_down_a_workload_is_cut_off(snapshot: Snapshot) -> None:
    (told,) = cut_off(snapshot, replace(snapshot, routes=()))
    assert told.startswith("route lost: default")
    down = replace(snapshot, link=replace(snapshot.link, flags=0))
    assert cut_off(snapshot, down) == ["eth0 is down"]
    assert cut_off(snapshot, snapshot) == []


def test_what_a_router_said_is_a_way_out_like_another(snapshot: Snapshot) -> None:
    told = replace(snapshot, advertised=(l3.default_route(10, 2, 1024, 1500),))
    assert cut_off(told, snapshot) == ["route lost: default dev 2 metric 1024"]
    by_hand = l3.default_route(10, 2, 512, 1500)
    other = replace(snapshot, routes=(*snapshot.routes, by_hand))
    assert cut_off(told, other) == cut_off(other, told) == []


def test_an_address_that_another_may_have_is_not_missed(snapshot: Snapshot) -> None:
    doubted = address(packets.pod_one_ip6, 64)
    doubted += attr(l3.IFA_FLAGS, struct.pack("=I", l3.IFA_F_DADFAILED))
    assert not cut_off(
        replace(snapshot, addresses=(doubted,)), replace(snapshot, addresses=())
    )


def seen(kernel: Host) -> Snapshot:
    nl = kernel.socket(kernel.pod)
    with netns.opened(kernel.pod.path) as fd:
        return snapshot_module.read(nl, fd, cast("Link", links.by_name(nl, "eth0")))


def test_an_interface_is_read_with_all_that_it_carries(kernel: Host) -> None:
    found = seen(kernel)
    assert [l3.address_text(one) for one in found.addresses] == [
        f"{packets.pod_one_ip4}/{packets.prefix_ip4}",
        f"{packets.pod_one_ip6}/{packets.prefix_ip6}",
    ]
    assert found.routes == tuple(kernel.pod.routes)
    assert found.sysctls["ipv4/conf/rp_filter"] == "2"
    assert found.defaults["ipv4/conf/rp_filter"] == "0"
    assert (found.offloads, found.port, found.routes_over) == (ON, None, False)
    assert differences(found, seen(kernel)) == []


def test_of_a_router_with_many_routes_those_of_the_interface_are_read(
    kernel: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.cable(kernel.pod, "eth1", 5)
    kernel.pod.routes.append(l3.default_route(socket.AF_INET, 5, 7, 1500))
    assert len(seen(kernel).routes) == 2
    monkeypatch.setattr(snapshot_module, "ROUTES_ALL", 1)
    found = seen(kernel)
    assert found.routes_over
    assert [l3.route_oifs(body) for body in found.routes] == [{2}]


def test_a_detail_that_the_kernel_does_not_show_ends_no_splice(
    kernel: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(_name: str) -> tuple[int, ...]:
        raise OSError(95, "not supported")

    monkeypatch.setattr(offloads, "requested", hidden)
    assert seen(kernel).offloads == ()


def test_routes_that_a_router_advertised_are_kept_apart_in_their_order(
    kernel: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, told = (
        l3.default_route(socket.AF_INET6, index, 1024, 1500) for index in (5, 2)
    )
    own = l3.default_route(socket.AF_INET6, 2, 77, 1500)
    kernel.cable(kernel.pod, "eth1", 5)
    kernel.pod.routes = [first, told, own]
    monkeypatch.setattr(
        advertised, "marked", lambda *_: frozenset({advertised.place(told)})
    )
    monkeypatch.setattr(advertised, "likely", lambda body, _index: body != first)
    found = seen(kernel)
    assert found.advertised == (told,)
    assert found.routes == (first, own)
    assert found.behind == (told,), "another in its place is used first"

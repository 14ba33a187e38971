"""What a workload puts on its own interface does not keep it from being spliced, nor from being detached."""

from __future__ import annotations

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.live_state import lost_by_detach
from tests import packets
from tests.datapath.test_splice_refusals import SORT_ALL
from tests.lab.datapath.splice import Rig
from tests.lab.net.snapshot import assert_same, picture

SHAPED = (
    "qdisc add dev eth0 root handle 1: htb default 1",
    "class add dev eth0 parent 1: classid 1:1 htb rate 100mbit",
    "class add dev eth0 parent 1:1 classid 1:2 htb rate 10mbit",
    "qdisc add dev eth0 parent 1:2 handle 12: tbf rate 5mbit burst 32k latency 10ms",
)


def queues(rig: Rig) -> list[str]:
    """The qdiscs and classes of eth0, as `tc` prints them."""
    shown = [
        rig.pod.run("tc", kind, "show", "dev", "eth0").stdout
        for kind in ("qdisc", "class")
    ]
    return [
        line.split(" direct_packets")[0] for text in shown for line in text.splitlines()
    ]


@pytest.fixture
def told() -> list[str]:
    """Name: told. Scope: function. What a splice says that was lost."""
    return []


def test_qdiscs_and_classes_without_filters_come_along_and_home_again(
    rig: Rig, told: list[str]
) -> None:
    for line in SHAPED:
        rig.pod.run("tc", *line.split())
    shaped = queues(rig)
    port = rig.splice(tell=told.append)
    assert queues(rig) == shaped
    rig.unsplice(port)
    assert queues(rig) == shaped
    assert told == []


def test_a_bridge_port_stays_one(rig: Rig, told: list[str]) -> None:
    rig.pod.run("ip", "link", "add", "br1", "type", "bridge")
    rig.pod.run("ip", "link", "set", "eth0", "master", "br1")
    port = rig.splice(tell=told.append)
    (link,) = rig.pod.ip("link", "show", "eth0")
    assert link["master"] == "br1"
    rig.unsplice(port)
    (link,) = rig.pod.ip("link", "show", "eth0")
    assert link["master"] == "br1"
    assert told == []


def test_filters_are_lost_where_that_is_asked_for_and_told(
    rig: Rig, told: list[str]
) -> None:
    rig.pod.run("tc", *SHAPED[0].split())
    rig.pod.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
    rig.pod.run(*SORT_ALL)
    rig.splice(force=True, tell=told.append)
    assert told == ["eth0 had a clsact qdisc with filters, which is taken off"]
    assert not [line for line in queues(rig) if "clsact" in line]
    assert [line for line in queues(rig) if "qdisc htb 1:" in line]
    rig.pod.run("ping", "-c1", "-W2", rig.gateway)


def test_a_macvlan_on_top_is_deleted_where_that_is_asked_for(
    rig: Rig, told: list[str]
) -> None:
    rig.pod.run("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan")
    rig.splice(force=True, tell=told.append)
    assert told == ["eth0 had mv0 on top of it, which is deleted"]
    assert "mv0" not in rig.pod.run("ip", "-br", "link").stdout


def test_a_detach_says_what_goes_with_it_and_gives_the_interface_back(rig: Rig) -> None:
    before = picture(rig.pod)
    port = rig.splice()
    rig.pod.run("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan")
    assert lost_by_detach(rig.instance, port) == (
        "eth0 has mv0 on top of it, which is lost",
    )
    rig.unsplice(port)
    assert_same(before, picture(rig.pod))


@pytest.mark.parametrize(
    "kind",
    [
        "link eth0 type macvlan",
        f"type vxlan id 5 dev eth0 remote {packets.gateway_ip4} dstport 4789",
    ],
    ids=["macvlan", "vxlan"],
)
def test_routes_over_what_stands_on_the_interface_go_with_it(
    rig: Rig, kind: str
) -> None:
    """They go before the detach looks at what it has to put back, and before an attach does."""
    before = picture(rig.pod)
    port = rig.splice()
    stand_on_top(rig, kind)
    rig.unsplice(port)
    assert_same(before, picture(rig.pod))
    assert (rig.ports(), rig.journals()) == ([], [])
    stand_on_top(rig, kind)
    with pytest.raises(RefusedError, match="up0 on top of it"):
        rig.splice()
    rig.unsplice(rig.splice(force=True))
    assert_same(before, picture(rig.pod))


def test_a_route_whose_device_goes_meanwhile_is_no_failure(
    rig: Rig, told: list[str]
) -> None:
    before = picture(rig.pod)
    stand_on_top(rig, "type bridge")

    def end(point: str) -> None:
        if point == "after remove":
            rig.pod.run("ip", "link", "del", "up0")

    port = rig.splice()
    rig.unsplice(port, fault=end, tell=told.append)
    assert_same(before, picture(rig.pod))
    assert told == ["eth0 lost what led over devices that are gone"]


def stand_on_top(rig: Rig, kind: str) -> None:
    """A device `up0`, with an address and routes of its own and over both."""
    gate, far = packets.peer_ip4, packets.onlink_net_ip4
    for line in (
        f"link add up0 {kind}",
        "link set up0 up",
        f"addr add {gate}/32 dev up0",
        f"route add {far} dev up0",
        f"route add {packets.multipath_net_ip4} nexthop dev up0 nexthop via {rig.gateway} dev eth0",
    ):
        rig.pod.run("ip", *line.split())

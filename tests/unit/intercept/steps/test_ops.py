"""What a step says to the kernel, by the kind of the workload's own interface. The kernel is played."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from pyctl.intercept.names import Mark
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.intercept.steps.ops import ACTIONS, Site
from pyctl.intercept.steps.plan import Op
from pyctl.platform.netlink import links
from pyctl.platform.netlink.client import Message, NetlinkError, attrs
from pyctl.platform.netlink.links import Link, VethEnd
from tests.unit.intercept.conftest import ETH0

VEX = replace(ETH0, index=20, name="vex1-eth0")
VIN = replace(ETH0, index=21, name="vin1-eth0")
KINDS = pytest.mark.parametrize("kind", ["veth", "macvlan"])


class Kernel:
    """One namespace: it shows the links given, takes all but what has a refused attribute, and notes each
    write."""

    def __init__(self, *there: Link, refuses: int = 0) -> None:
        self.there = list(there)
        self.refuses = refuses
        self.writes: list[list[Message]] = []

    def batch(self, messages: list[Message]) -> list[NetlinkError | None]:
        self.writes.append(list(messages))
        return [
            NetlinkError(22, "refused")
            if self.refuses in attrs(one.body[16:])
            else None
            for one in messages
        ]

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        (refused,) = self.batch([Message(kind, body, flags)])
        if refused:
            raise refused


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> list[tuple[VethEnd, VethEnd]]:
    """Name: played. Scope: function. Depends: nothing. Reads are of a Kernel's links; the pairs that were
    made are noted here."""
    made: list[tuple[VethEnd, VethEnd]] = []

    def by(field: str) -> Any:
        def found(kernel: Kernel, wanted: object) -> Link | None:
            fits = (one for one in kernel.there if getattr(one, field) == wanted)
            return next(fits, None)

        return found

    monkeypatch.setattr(links, "by_name", by("name"))
    monkeypatch.setattr(links, "by_index", by("index"))
    monkeypatch.setattr(links, "nsid", lambda *_: 5)
    monkeypatch.setattr(
        links, "add_veth", lambda _nl, end, peer: made.append((end, peer))
    )
    return made


def mark_of(kind: str) -> str:
    return Mark(1, 1, 1, (4, 5), 6, "eth0", ETH0.index, kind, None).text()


def site_of(
    snapshot: Snapshot, kind: str, workload: Kernel, enforcer: Kernel, **more: Any
) -> Any:
    """At an attach the interface that was read is the workload's own."""
    was = replace(snapshot, link=replace(snapshot.link, kind=kind))
    names = (VEX.name, VIN.name, more.get("mark", mark_of(kind)))
    return Site(was, *names, workload, 3, enforcer, 4)  # type: ignore[arg-type]


def flags_of(message: Message) -> int:
    flags: int = struct.unpack_from("=BxHiII", message.body)[3]
    return flags


@pytest.mark.parametrize(
    ("mark", "hears_all"),
    [(mark_of("veth"), False), (mark_of("macvlan"), True), ("another's", False)],
)
def test_a_macvlan_alone_hears_all_groups_as_vex(
    snapshot: Snapshot, mark: str, hears_all: bool
) -> None:
    enforcer = Kernel(VEX, VIN)
    site = site_of(snapshot, "veth", Kernel(), enforcer, mark=mark)
    ACTIONS[Op.PORTS_UP](site)
    ports, carrier = enforcer.writes
    of_vin, of_vex = map(flags_of, ports)
    assert of_vin == links.IFF_NOARP | links.IFF_MULTICAST
    all_groups = links.IFF_ALLMULTI if hears_all else 0
    assert of_vex == of_vin | links.IFF_UP | all_groups
    assert len(carrier) == 1


@KINDS
@pytest.mark.parametrize("taken", [False, True])
def test_vin_has_the_index_of_a_veth_s_peer_where_it_is_free(
    snapshot: Snapshot,
    played: list[tuple[VethEnd, VethEnd]],
    kind: str,
    taken: bool,
) -> None:
    others = [replace(ETH0, index=ETH0.link, name="other")] if taken else []
    enforcer = Kernel(VIN, *others)
    ACTIONS[Op.CREATE](site_of(snapshot, kind, Kernel(), enforcer))
    ((ours, peer),) = played
    assert (ours.name, ours.index, ours.mac) == (ETH0.name, ETH0.index, ETH0.mac)
    assert peer.index == (ETH0.link if kind == "veth" and not taken else 0)


@KINDS
def test_what_came_home_is_made_what_it_was_in_two_writes_and_a_mark(
    snapshot: Snapshot, kind: str
) -> None:
    """Killed between: it is there, and bears the mark still."""
    mark = mark_of(kind)
    workload = Kernel(replace(ETH0, kind=kind, alias=mark), refuses=links.IFLA_MTU)
    ACTIONS[Op.MOVE_IN](site_of(snapshot, kind, workload, Kernel()))
    assert [len(write) for write in workload.writes] == [3, 1, 1]
    told = [attrs(one.body[16:]) for write in workload.writes for one in write]
    assert [next(iter(one)) for one in told] == [
        *(links.IFLA_IFNAME, links.IFLA_ADDRESS, links.IFLA_TXQLEN),
        *(links.IFLA_MTU, links.IFLA_IFALIAS),
    ]


@KINDS
def test_what_has_another_mac_has_not_come_home(snapshot: Snapshot, kind: str) -> None:
    there = replace(ETH0, kind=kind, alias=mark_of(kind))
    workload = Kernel(there, refuses=links.IFLA_ADDRESS)
    with pytest.raises(NetlinkError):
        ACTIONS[Op.MOVE_IN](site_of(snapshot, kind, workload, Kernel()))
    assert len(workload.writes) == 2, "and the mark stays"

"""What a step says to the kernel, by the kind of the workload's own interface. The kernel is played."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pyctl.errors import SegctlError
from pyctl.intercept.detach import unsplice
from pyctl.intercept.names import Mark
from pyctl.intercept.restore import master
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.intercept.steps import ops
from pyctl.intercept.steps.ops import ACTIONS, PORT_INDEXES, TOLD_MAX, Site
from pyctl.intercept.steps.plan import Op
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.links import Link, VethEnd
from pyctl.platform.netlink.raw import Message, NetlinkError, attrs
from tests.unit.intercept.conftest import ETH0
from tests.unit.intercept.played import Kernel as Host
from tests.unit.intercept.played import splice
from tests.unit.intercept.spaces import Device

VEX = replace(ETH0, index=20, name="vex1-eth0")
VIN = replace(ETH0, index=21, name="vin1-eth0")
PLAYED = pytest.mark.usefixtures("played")
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


@pytest.fixture
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


@PLAYED
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


@PLAYED
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


@PLAYED
@KINDS
def test_what_has_another_mac_has_not_come_home(snapshot: Snapshot, kind: str) -> None:
    there = replace(ETH0, kind=kind, alias=mark_of(kind))
    workload = Kernel(there, refuses=links.IFLA_ADDRESS)
    with pytest.raises(NetlinkError):
        ACTIONS[Op.MOVE_IN](site_of(snapshot, kind, workload, Kernel()))
    assert len(workload.writes) == 2, "and the mark stays"


def at_point(point: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Somebody else does this when the splice has come there."""
    return lambda reached: act() if reached == point else None


def spliced(host: Host, point: str, act: Callable[[], object], **more: Any) -> Any:
    return splice(host, fault=at_point(point, act), **more)


def test_a_way_out_that_goes_before_the_end_is_put_back_once_more(kernel: Host) -> None:
    before = kernel.picture()
    _, lost = spliced(kernel, "before verify", kernel.pod.routes.clear)
    assert (lost, kernel.picture()) == ([], before)


def test_what_leaves_the_workload_cut_off_is_taken_back(kernel: Host) -> None:
    before = kernel.picture()

    def forbids() -> None:
        kernel.pod.routes.clear()
        kernel.fault = lambda _n, what: (
            NetlinkError(1, "not here") if what == "_new_route" else None
        )

    with pytest.raises(SegctlError, match="failed at verify"):
        spliced(kernel, "before verify", forbids)
    kernel.alive()
    assert kernel.picture()["addresses"] == before["addresses"]
    assert (kernel.ports(), kernel.journals()) == ([], [])


def test_ours_that_goes_before_the_end_is_an_error(kernel: Host) -> None:
    with pytest.raises(SegctlError, match="eth0 is not there any more"):
        spliced(
            kernel,
            "before verify",
            lambda: kernel.lose(kernel.pod.device("eth0")),
        )
    assert kernel.pod.device("eth0") is kernel.eth0
    assert kernel.ports() == []


def test_what_led_over_a_device_that_has_gone_is_told(kernel: Host) -> None:
    eth1 = kernel.cable(kernel.pod, "eth1", 5)
    kernel.pod.routes.append(l3.default_route(2, 5, 700, 1500))
    _, lost = spliced(kernel, "before verify", lambda: kernel.lose(eth1))
    assert lost == ["eth0 lost what led over devices that are gone"]


def test_a_difference_that_cuts_nobody_off_is_told(kernel: Host) -> None:
    def others() -> None:
        ours = kernel.pod.device("eth0")
        ours.alias = "mine"
        for number in range(TOLD_MAX):
            ours.sysctls[f"ipv4/conf/key{number}"] = "1"

    kernel.eth0.sysctls |= {f"ipv4/conf/key{n}": "0" for n in range(TOLD_MAX)}
    (told,) = spliced(kernel, "before verify", others)[1]
    assert told.startswith("eth0 is not as it was: link alias: '' is now 'mine'; ")
    assert told.endswith(" and 1 more")


def in_bridge(host: Host) -> Device:
    bridge = host.device(host.pod, "br0", "bridge", flags=links.IFF_UP)
    host.eth0.master = bridge.index
    return bridge


def test_a_bridges_port_is_its_port_again(kernel: Host) -> None:
    in_bridge(kernel)
    before = kernel.picture()
    _, lost = splice(kernel)
    assert (lost, kernel.picture()) == ([], before)


@pytest.mark.parametrize("force", [False, True])
def test_a_bridge_that_does_not_take_it_back_ends_the_splice_unless_forced(
    kernel: Host, monkeypatch: pytest.MonkeyPatch, *, force: bool
) -> None:
    in_bridge(kernel)
    before = kernel.picture()
    refused = lambda *_: ["its path cost"]  # noqa: E731
    monkeypatch.setattr(master.bridge_port, "put_back", refused)
    monkeypatch.setattr(master.bridge_port, "put_back_running", refused)
    if not force:
        with pytest.raises(SegctlError, match="refused what eth0's master had of it"):
            splice(kernel)
        assert kernel.ports() == []
        return
    splice(kernel, force=True)
    assert kernel.picture() == before


def test_a_bridge_that_lets_it_go_before_the_end_is_told_by_force(kernel: Host) -> None:
    in_bridge(kernel)

    def freed() -> None:
        kernel.pod.device("eth0").master = 0

    with pytest.raises(SegctlError, match="its master is not as it was"):
        spliced(kernel, "before verify", freed)
    lost = spliced(kernel, "before verify", freed, force=True)[1]
    assert any(line.startswith("eth0 lost: ") for line in lost)


def test_a_name_that_only_an_existing_interface_can_have_comes_back(
    kernel: Host,
) -> None:
    """A new one cannot be called so."""
    kernel.eth0.name = "default"
    before = kernel.picture()
    port, _ = splice(kernel, "default")
    assert kernel.picture() == before
    unsplice(kernel.instance, kernel.process, port)
    assert kernel.picture() == before


def test_indexes_that_others_have_are_left_to_them(kernel: Host) -> None:
    splice(kernel)
    other = kernel.space("pod2")
    for device in (kernel.cable(other, "eth0", 2), kernel.cable(other, "eth1", 3)):
        port_id = 10 + device.index
        process = kernel.process_in(other, 99)
        port, _ = splice(kernel, device.name, process=process, port_id=port_id)
        taken = device.index == kernel.eth0.index
        assert port.vex_ifindex == (PORT_INDEXES + port_id if taken else device.index)
    third = kernel.space("pod3")
    kernel.cable(third, "eth0", 2)
    kernel.device(kernel.enforcer, "x", "dummy").index = PORT_INDEXES + 20
    process = kernel.process_in(third, 98)
    port, _ = splice(kernel, process=process, port_id=20)
    assert port.vex_ifindex not in {2, PORT_INDEXES + 20}


def test_connections_that_are_masqueraded_over_it_are_told(
    kernel: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops.Translated, "left_out", 3)
    _, lost = splice(kernel)
    assert lost == ["eth0 lost 3 connections that are masqueraded over it"]


def test_without_a_loopback_no_address_is_lent(kernel: Host) -> None:
    kernel.pod.devices.remove(kernel.pod.device("lo"))
    before = kernel.picture()
    _, lost = splice(kernel)
    assert (lost, kernel.picture()) == ([], before)


def test_where_the_original_has_gone_nothing_can_come_home(kernel: Host) -> None:
    """The host deleted its peer while the workload was cut off."""

    def gone(_port: object) -> None:
        kernel.lose(kernel.enforcer.device("vex4d-eth0"))
        raise RuntimeError("injected")

    with pytest.raises(SegctlError, match="injected") as caught:
        splice(kernel, ready=gone)
    assert "undoing move (move-in) failed: the workload's own interface" in (
        caught.value.state
    )
    assert len(kernel.journals()) == 1


def test_a_port_that_somebody_deletes_ends_the_splice(kernel: Host) -> None:
    before = kernel.picture()

    def gone() -> None:
        kernel.enforcer.devices.remove(kernel.enforcer.device("vin4d-eth0"))

    with pytest.raises(SegctlError, match="the port vin4d-eth0 is not there"):
        spliced(kernel, "before ports", gone)
    assert kernel.picture()["addresses"] == before["addresses"]

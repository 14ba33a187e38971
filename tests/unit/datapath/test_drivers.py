"""Two datapaths on one node: each knows which ports are the other's."""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import ip_network

import pytest

from pyctl.datapath import drivers as module
from pyctl.datapath.drivers import Drivers
from pyctl.datapath.ebpf.driver import PRIORITY
from pyctl.datapath.u32.plan import VBR
from pyctl.doctor import probe
from pyctl.errors import NotCapableError, NotFoundError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import DatapathKind, Mode
from pyctl.platform.netlink.raw import NetlinkError
from pyctl.platform.watch.filters import Touched
from pyctl.policy.compile.compiler import port_pair
from tests import packets
from tests.unit.state.test_store import PORT, WEB

EBPF, U32 = DatapathKind.EBPF, DatapathKind.U32
PAIR = port_pair(WEB, PORT, Mode.PROTECT)
PORT_ID = PAIR.port_id


class Node:
    """Both drivers in one, and what the kernel can do."""

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.refused: set[DatapathKind] = set()
        self.u32_ports: list[int] = []

    def driver(self, kind: DatapathKind) -> Driver:
        return Driver(self, kind)

    def require(self, kind: DatapathKind) -> None:
        if kind in self.refused:
            raise NotCapableError(f"{kind} is refused here")


class Driver:
    """Writes down what it is told."""

    def __init__(self, node: Node, kind: DatapathKind) -> None:
        self.node, self.kind = node, kind

    def port_ids(self) -> list[int]:
        return self.node.u32_ports

    def mark_elsewhere(self, port_id: int, *, elsewhere: bool) -> None:
        assert self.kind is EBPF
        self.node.told.append(("elsewhere" if elsewhere else "nobody's", port_id))

    def __getattr__(self, name):
        def call(*args, **_options):
            what = getattr(args[0], "port_id", args[0]) if args else None
            self.node.told.append((self.kind.value, name, what))

        return call


@pytest.fixture
def node(monkeypatch) -> Node:
    made = Node()
    monkeypatch.setattr(module, "require", made.require)
    monkeypatch.setattr(module, "EbpfDriver", lambda *_: made.driver(EBPF))
    monkeypatch.setattr(module, "U32Driver", lambda *_: made.driver(U32))
    return made


def drivers() -> Drivers:
    return Drivers(Instance("segt-drivers"))


def test_ebpf_knows_of_a_u32_port_before_its_rules_stand_and_not_after_it_went(node):
    both = drivers()
    both.start()
    both.attach(PAIR, U32)
    both.detach(PORT_ID, U32)
    assert node.told == [
        ("ebpf", "connect", None),
        ("u32", "connect", None),
        ("elsewhere", PORT_ID),
        ("u32", "attach", PORT_ID),
        ("nobody's", PORT_ID),
        ("u32", "detach", PORT_ID),
    ]


def test_ports_of_u32_that_an_earlier_agent_left_are_known_from_the_start(node):
    node.u32_ports = [7, PORT_ID]
    drivers().start()
    assert node.told.index(("elsewhere", 7)) > node.told.index(
        ("ebpf", "connect", None)
    )
    assert ("elsewhere", PORT_ID) in node.told


def test_a_port_that_comes_from_ebpf_is_known_when_it_has_left(node):
    both = drivers()
    both.start()
    both.attach(PAIR, EBPF)
    node.told.clear()
    both.hand_over(PAIR, EBPF, U32)
    left = node.told.index(("ebpf", "detach", PORT_ID))
    assert node.told.index(("elsewhere", PORT_ID)) > left


def test_a_port_that_goes_to_ebpf_is_its_own(node):
    """What attach writes takes the place of the mark: unmarking then would erase the port."""
    both = drivers()
    both.start()
    both.attach(PAIR, U32)
    node.told.clear()
    both.hand_over(PAIR, U32, EBPF)
    assert ("ebpf", "attach", PORT_ID) in node.told
    assert not {"elsewhere", "nobody's"} & {entry[0] for entry in node.told}


def test_without_ebpf_nothing_is_marked_and_u32_is_what_auto_means(node):
    node.refused = {EBPF}
    both = drivers()
    (warning,) = both.start()
    both.attach(PAIR, both.choose(None))
    both.detach(PORT_ID, None)
    assert "u32" in warning
    assert both.default is U32
    assert [entry[0] for entry in node.told] == ["u32"] * 3


def test_where_neither_works_the_agent_says_what_ebpf_said(node):
    node.refused = {EBPF, U32}
    with pytest.raises(SegctlError, match="ebpf is refused"):
        drivers().start()


def test_only_what_was_touched_is_looked_at(node, monkeypatch):
    looked: list[object] = []
    both = drivers()
    monkeypatch.setattr(
        both._u32, "repair", lambda port_id: looked.append(port_id) or [], raising=False
    )
    monkeypatch.setattr(
        both._u32, "repair_guard", lambda: looked.append("guard") or [], raising=False
    )
    other = replace(PAIR, port_id=7, vex_ifindex=40, vin_ifindex=41)
    both.of(U32)
    both.repair([(PAIR, U32), (other, U32)], {Touched(PAIR.vin_ifindex, 10001)})
    assert looked == [PORT_ID]
    looked.clear()
    both.repair([(PAIR, U32), (other, U32)], None)
    assert looked == ["guard", PORT_ID, 7]


def test_a_port_that_cannot_be_repaired_keeps_no_other_from_it(node, monkeypatch):
    both = drivers()

    def repair(port_id: int) -> list[str]:
        if port_id == PORT_ID:
            raise SegctlError("installing rules: no memory")
        if port_id == PORT_ID + 1:
            raise NetlinkError(errno.ENOBUFS, "no buffers")
        return [f"missing {port_id}"]

    for driver in (both._u32, both._ebpf):
        monkeypatch.setattr(driver, "repair", repair, raising=False)
    other = replace(PAIR, port_id=7, vex_ifindex=40, vin_ifindex=41)
    third = replace(other, port_id=PORT_ID + 1)
    found, failed = both.repair([(PAIR, U32), (third, U32), (other, EBPF)], None)
    assert found == ["missing 7"]
    assert failed == [
        f"port {PORT_ID}: installing rules: no memory.",
        f"port {PORT_ID + 1}: [Errno {errno.ENOBUFS}] no buffers",
    ]


def test_what_u32_lacks_is_named(monkeypatch):
    monkeypatch.setattr(module.u32_probe, "missing", lambda: "no act_pedit")
    module.require(DatapathKind.EBPF)
    with pytest.raises(NotCapableError, match="act_pedit"):
        module.require(DatapathKind.U32)


def test_u32_where_a_whole_ruleset_goes_in(monkeypatch):
    monkeypatch.setattr(module.u32_probe, "missing", lambda: None)
    module.require(DatapathKind.U32)


def test_doctor_speaks_of_the_same_drivers_in_the_same_order():
    assert tuple(DatapathKind) == probe.DRIVERS


def answers(monkeypatch, driver, name: str, answer) -> None:
    monkeypatch.setattr(driver, name, answer, raising=False)


def test_a_kind_is_ready_once_and_chosen_where_the_host_can(node):
    both = drivers()
    both.start()
    assert (both.is_ready(EBPF), both.is_ready(U32)) == (True, False)
    assert (both.choose(None), both.choose(U32)) == (EBPF, U32)
    both.of(EBPF)
    assert node.told.count(("ebpf", "connect", None)) == 1
    node.refused = {U32}
    with pytest.raises(NotCapableError, match="u32 is refused"):
        both.choose(U32)
    with pytest.raises(NotCapableError):
        both.attach(PAIR, U32)
    assert not both.is_ready(U32)


def test_a_new_bridge_pair_gets_what_all_ports_share_from_each_that_is_ready(node):
    both = drivers()
    both.start()
    node.told.clear()
    both.hang_on_pair()
    assert node.told == [("ebpf", "connect", None)]
    both.of(U32)
    node.told.clear()
    both.hang_on_pair()
    assert sorted(node.told) == [("ebpf", "connect", None), ("u32", "connect", None)]


def test_owners_are_told_whole_at_first_and_then_what_changed(node, monkeypatch):
    both = drivers()
    told: list[tuple] = []
    both.write_owners({1: PAIR}, {}, {})
    both.start()
    answers(
        monkeypatch,
        both._ebpf,
        "write_owners",
        lambda c, *, whole: told.append((c, whole)),
    )
    cidrs = {1: (ip_network(packets.net_ip4),)}
    both.write_owners({}, {}, {})
    assert told == [({}, True)], "an earlier agent's entries go"
    both.write_owners({PORT_ID: PAIR}, {}, {})
    both.write_owners({PORT_ID: PAIR}, {}, cidrs)
    both.write_owners({PORT_ID: PAIR}, {}, cidrs)
    assert [whole for _, whole in told] == [True, False, False]
    assert {name for name, _ in told[1][0]} == {"seg_owners"}
    assert {name for name, _ in told[2][0]} == {"seg_nets"}
    both.write_owners({}, {}, {})
    assert set(told[3][0].values()) == {None}


def test_who_else_has_something_of_a_port_is_named(node, monkeypatch):
    both = drivers()
    both.of(EBPF)
    both.of(U32)
    answers(monkeypatch, both._ebpf, "port_in_use", lambda port: port == 7)
    answers(monkeypatch, both._u32, "port_in_use", lambda port: port == 8)
    assert [both.holder(port, besides=EBPF) for port in (7, 8)] == [None, U32]
    assert [both.holder(port, besides=U32) for port in (7, 8)] == [EBPF, None]
    assert [both.port_in_use(port) for port in (7, 8, 9)] == [True, True, False]


def test_a_port_of_no_known_kind_leaves_every_datapath(node):
    both = drivers()
    both.of(EBPF)
    both.of(U32)
    node.told.clear()
    both.detach(PORT_ID, None)
    assert ("ebpf", "detach", PORT_ID) in node.told
    left = node.told.index(("u32", "detach", PORT_ID))
    assert node.told.index(("nobody's", PORT_ID)) < left
    both.cleanup()
    assert node.told[-2:] == [("ebpf", "cleanup", None), ("u32", "cleanup", None)]


@pytest.mark.parametrize(
    ("touched", "looked"),
    [
        ((PAIR.vex_ifindex, 5), [PORT_ID]),
        ((VBR, PRIORITY), [PORT_ID, 7]),
        ((VBR, 0), [PORT_ID, 7]),
        ((VBR, PRIORITY + 1), []),
        ((41, 0), [7]),
        ((99, 0), []),
    ],
)
def test_what_was_touched_is_looked_at_for_who_could_have_a_rule_there(
    node, monkeypatch, touched, looked
):
    both = drivers()
    both.of(EBPF)
    asked: list[int] = []
    answers(monkeypatch, both._ebpf, "repair", lambda port: asked.append(port) or [])
    answers(monkeypatch, both._ebpf, "in_front", lambda port: [f"before {port}"])
    other = replace(PAIR, port_id=7, vex_ifindex=40, vin_ifindex=41)
    pairs = [(PAIR, EBPF), (other, EBPF)]
    both.repair(pairs, {Touched(*touched)})
    assert asked == looked
    assert both.in_front(pairs, {Touched(*touched)}) == {
        port: [f"before {port}"] for port in looked
    }


def test_a_port_that_goes_away_meanwhile_is_no_line(node, monkeypatch):
    both = drivers()

    def gone(port: int) -> list[str]:
        raise NotFoundError(f"port {port} is not attached")

    answers(monkeypatch, both._ebpf, "repair", gone)
    answers(monkeypatch, both._ebpf, "in_front", gone)
    assert both.repair([(PAIR, EBPF)], None) == ([], [])
    assert both.in_front([(PAIR, EBPF)], None) == {}


@pytest.mark.parametrize("touched", [(VBR, 0), (VBR, 65535), (VBR, 10002), (5, 0)])
def test_the_guard_is_looked_at_where_a_rule_of_it_could_be(node, monkeypatch, touched):
    both = drivers()
    both.of(U32)
    answers(monkeypatch, both._u32, "repair_guard", lambda: ["missing"])
    found, failed = both.repair([], {Touched(*touched)})
    assert failed == []
    assert found == (["missing"] if touched in {(VBR, 0), (VBR, 65535)} else [])

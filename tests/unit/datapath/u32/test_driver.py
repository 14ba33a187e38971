"""The u32 driver against a kernel made of lists: what it holds at each moment of a change."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fallback_tc.drift import drift
from fallback_tc.netlink import TCA_KIND, TCMSG
from fallback_tc.rules import normal
from pyctl.datapath.u32.driver import U32Driver
from pyctl.datapath.u32.plan import (
    ASIDE,
    HOME,
    SLOTS,
    VBR,
    Plan,
    at_base,
    bridge_prefs,
    plan,
)
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Mode, PortPair
from pyctl.platform.netlink.raw import attr, attr_text
from pyctl.platform.tc.filters import TCA_CHAIN, Filter
from tests import packets
from tests.unit.datapath.makers import PAIR
from tests.unit.datapath.u32.kernel import NAMES, Kernel

OTHER = replace(PAIR, port_id=301, vex_ifindex=7, vin_ifindex=8)


@pytest.fixture
def world(monkeypatch, tmp_path: Path):
    kernel = Kernel()
    monkeypatch.setattr(Instance, "run_dir", property(lambda _: tmp_path))
    driver = U32Driver(Instance("one"))
    monkeypatch.setattr(driver, "_tc", lambda: kernel)
    driver.connect()
    return kernel, driver


def goal(pair: PortPair) -> Plan:
    return plan(pair, NAMES)


def rules_of(pair: PortPair, base: int, device: str) -> list:
    found = [rule for rule in goal(pair).port_rules(base) if rule.device == device]
    return sorted(map(normal, found), key=lambda rule: rule.pref)


def whole(kernel: Kernel, pair: PortPair, base: int) -> bool:
    held = kernel.held(pair.vex_ifindex) + kernel.held(pair.vin_ifindex)
    return not drift(goal(pair).port_rules(base), held)


def test_what_is_attached_is_held_and_what_is_detached_is_gone(world):
    kernel, driver = world
    driver.attach(PAIR)
    assert whole(kernel, PAIR, HOME)
    assert driver.rules(300)[-1] == "held as intended"
    assert driver.port_in_use(300)
    driver.detach(300)
    assert not driver.port_in_use(300)
    assert kernel.clsact == {VBR}
    driver.cleanup()
    assert (kernel.rules, kernel.clsact) == ([], set())


def test_in_protect_each_frame_meets_a_head_and_then_a_whole_set(world):
    kernel, driver = world
    driver.attach(PAIR)
    after = replace(PAIR, addresses=(*PAIR.addresses, f"{packets.pod_two_ip4}/16"))
    moments = []

    def look() -> None:
        for ifindex, device in ((5, "vex"), (6, "vin")):
            held = [one.rule for one in kernel.held(ifindex)]
            sets = [
                rules_of(pair, base, device)
                for base in (HOME, ASIDE)
                for pair in (PAIR, after)
            ]
            home = [one for one in held if one.pref < ASIDE - 100]
            aside = [one for one in held if one.pref > ASIDE - 100]
            assert any(home == one[: len(home)] for one in sets)
            assert any(aside == one[: len(aside)] for one in sets)
            assert home in sets[:2] or aside in sets[2:]
            moments.append(len(held))

    kernel.look = look
    driver.update(after)
    assert len(moments) > 50
    assert whole(kernel, after, HOME)


def test_between_holding_and_copying_the_way_back_stays(world):
    """What is held while the mode changes must find it at every moment."""
    kernel, driver = world
    driver.attach(PAIR)
    back = kernel.held(VBR)

    def look() -> None:
        assert kernel.held(VBR) == back

    kernel.look = look
    for mode in (Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT):
        driver.update(replace(PAIR, mode=mode))
        assert whole(kernel, replace(PAIR, mode=mode), HOME)


def test_quarantine_waits_for_nothing(world):
    kernel, driver = world
    driver.attach(PAIR)
    driver.update(replace(PAIR, mode=Mode.QUARANTINE))
    assert [len(kernel.held(end)) for end in (5, 6)] == [1, 1]


@pytest.mark.parametrize("after", range(1, 36, 3))
def test_an_attach_that_is_refused_leaves_nothing(world, after):
    kernel, driver = world
    before = list(kernel.rules)
    kernel.refuse_after(after)
    with pytest.raises(SegctlError):
        driver.attach(PAIR)
    assert kernel.rules == before
    assert not driver.port_in_use(300)


def test_drift_is_named_and_repaired(world):
    kernel, driver = world
    driver.attach(PAIR)
    kernel.rules = [row for row in kernel.rules if row[1].pref not in (10001, 65535)]
    assert [line.split()[0] for line in driver.repair(300)] == ["missing"] * 2
    assert driver.repair(300) == []
    assert len(driver.repair_guard()) == 1
    assert driver.repair_guard() == []


def test_another_kinds_filter_keeps_the_rules_aside_until_it_goes(world):
    kernel, driver = world
    foreign = (5, Filter(10001, "bpf", TCMSG.pack(0, 5, 1, 0, 10001 << 16)))
    kernel.rules.append(foreign)
    driver.attach(PAIR)
    assert not at_base(kernel.held(5), HOME)
    assert whole(kernel, PAIR, ASIDE)
    kernel.rules.remove(foreign)
    driver.attach(PAIR)
    assert whole(kernel, PAIR, HOME)
    driver.step_aside(300)
    assert whole(kernel, PAIR, ASIDE)


def test_filters_of_others_in_front_are_told_and_left_there(world):
    kernel, driver = world
    driver.attach(PAIR)
    assert driver.in_front(300) == []

    def foreign(pref: int, kind: str, rest: bytes = b"") -> tuple[int, Filter]:
        body = TCMSG.pack(0, 6, 1, 0, pref << 16) + attr_text(TCA_KIND, kind) + rest
        return 6, Filter(pref, kind, body)

    elsewhere = attr(TCA_CHAIN, (7).to_bytes(4, sys.byteorder))
    strange = [
        foreign(5, "flower"),
        foreign(9, "u32"),
        foreign(9, "u32"),
        foreign(6, "flower", elsewhere),
        foreign(11000, "matchall"),
    ]
    kernel.rules += strange
    told = driver.in_front(300)
    assert [line.split(":")[0] for line in told] == [
        "in front vin pref 5",
        "in front vin pref 9",
    ]
    shown = driver.rules(300)
    assert set(told) < set(shown)
    assert shown[-1] == "held as intended"
    assert driver.repair(300) == []
    assert kernel.rules[-5:] == strange
    kernel.rules.append(foreign(10003, "matchall"))
    driver.repair(300)
    assert any("pref 10003: a matchall" in line for line in driver.in_front(300))


def test_another_ports_rules_on_vbr_stay(world):
    _, driver = world
    shared = replace(OTHER, port_id=300 + SLOTS)
    assert bridge_prefs(shared.port_id) == bridge_prefs(300)
    driver.attach(PAIR)
    driver.attach(shared)
    before = driver.rules(shared.port_id)
    driver.update(replace(PAIR, mode=Mode.DISCOVER))
    driver.detach(300)
    assert driver.rules(shared.port_id) == before


def test_a_port_id_and_an_interface_have_one_owner(world):
    _, driver = world
    driver.attach(PAIR)
    with pytest.raises(RefusedError):
        driver.attach(replace(OTHER, port_id=300))
    with pytest.raises(NotFoundError):
        driver.update(OTHER)
    driver.attach(replace(PAIR, port_id=302))
    assert not driver.port_in_use(300)


def test_an_attach_asks_as_much_on_a_full_node_as_on_an_empty_one(world, monkeypatch):
    """Questions to the kernel, and files: at a thousand pairs they must be those of one."""
    kernel, driver = world
    asked: list[object] = []
    for name in ("name_of", "filters"):
        monkeypatch.setattr(kernel, name, counted(asked, getattr(kernel, name)))
    state = driver._state
    monkeypatch.setattr(state, "get", counted(asked, state.get))
    monkeypatch.setitem(NAMES, 9, "vex3")
    monkeypatch.setitem(NAMES, 10, "vin3")

    def questions(pair: PortPair) -> int:
        asked.clear()
        driver.attach(pair)
        driver.repair(pair.port_id)
        driver.counters(pair.port_id)
        return len(asked)

    alone = questions(PAIR)
    for number in range(30):
        state.put(replace(OTHER, port_id=400 + number))
    assert questions(replace(PAIR, port_id=500, vex_ifindex=9, vin_ifindex=10)) == alone


def counted(calls: list[object], what):
    def call(*args, **options):
        calls.append(what)
        return what(*args, **options)

    return call


def test_a_guard_that_is_refused_leaves_the_bridge_as_it_was(monkeypatch, tmp_path):
    kernel = Kernel()
    monkeypatch.setattr(Instance, "run_dir", property(lambda _: tmp_path))
    driver = U32Driver(Instance("one"))
    monkeypatch.setattr(driver, "_tc", lambda: kernel)
    kernel.refuse_after(1)
    with pytest.raises(SegctlError):
        driver.connect()
    assert (kernel.rules, kernel.clsact) == ([], set())
    driver.connect()
    assert driver.repair_guard() == []


def test_what_is_attached_elsewhere_is_unknown_here(world):
    _, driver = world
    for asked in (driver.repair, driver.in_front, driver.rules, driver.step_aside):
        with pytest.raises(NotFoundError, match="port 300"):
            asked(300)
    assert driver.counters(300) == {}
    assert not driver.port_in_use(300)
    driver.publish({300: 1})


def test_a_namespace_that_is_gone_keeps_no_file_of_a_port(world, monkeypatch):
    _, driver = world
    driver.attach(PAIR)

    def gone():
        raise NotFoundError("the namespace is gone")

    monkeypatch.setattr(driver, "_tc", gone)
    assert driver.port_ids() == [300]
    driver.cleanup()
    assert driver.port_ids() == []
    assert not driver.port_in_use(300)


def test_an_attached_pair_whose_change_is_refused_is_known_as_it_was(world):
    kernel, driver = world
    driver.attach(PAIR)
    kernel.refuse_after(3)
    with pytest.raises(SegctlError):
        driver.update(replace(PAIR, any_source=True))
    driver.repair(300)
    assert whole(kernel, PAIR, HOME)

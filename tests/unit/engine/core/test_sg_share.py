"""The engine's time, shared out: no limit while it keeps up, one pace for all ports while it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pyctl import abi
from tests.unit.engine.core.harness import OTHER_PORT, PORT, SECOND, Rule
from tests.unit.engine.core.wire import udp

MS = SECOND // 1000
WINDOW = 5 * MS
AHEAD = abi.constant("SEG_SHARE_AHEAD_NS")
REFUSED = abi.constant("SEG_SHARE_REFUSED")
NEAR = abi.constant("SEG_SHARE_NEAR")
PILED = 4
"""Windows in a row."""
GAP = MS
HALF = AHEAD // GAP // 2 + 1


@dataclass
class Pace:
    """The rule, one window after the other."""

    module: Any
    now: int = 1000 * SECOND

    def __post_init__(self) -> None:
        self.share = self.module.ffi.new("struct sg_share *")

    def windows(
        self,
        count: int = 1,
        *,
        behind: bool = False,
        hit: int = 0,
        idle: int = 75,
        contended: bool = True,
    ) -> int:
        """The gap after so many windows of 300 frames, `idle` of 100 parts slept."""
        for _ in range(count):
            self.now += WINDOW
            load = (WINDOW, WINDOW * idle // 100, 300, behind, hit, contended)
            told = self.module.ffi.new("struct sg_share_load *", load)
            self.module.lib.sg_share_decide(self.share, told, self.now)
        return int(self.share.gap_ns)


@pytest.fixture
def pace(core_module: Any) -> Pace:
    """Name: pace. Scope: function. Depends: core_module. An engine that has kept up so far."""
    return Pace(core_module)


def test_an_engine_that_keeps_up_limits_nobody_however_busy(pace):
    assert pace.windows(1000, idle=0) == 0


def test_frames_that_pile_up_give_each_port_half_of_what_was_judged(pace):
    assert pace.windows(PILED - 1, behind=True) == 0
    assert pace.windows(behind=True) == 2 * WINDOW // 300


def test_what_piled_up_while_there_was_no_engine_is_judged_first(pace):
    for _ in range(10):
        assert pace.windows(PILED - 1, behind=True) == 0
        assert pace.windows(PILED) == 0


def test_one_conversation_takes_nothing_from_anybody(pace):
    assert pace.windows(behind=True, contended=False) == 0
    assert pace.windows(2100, behind=True, contended=False) == 0
    assert pace.windows(behind=True) > 0
    assert pace.windows(1990, behind=True, contended=False) > 0
    assert pace.windows(20, behind=True, contended=False) == 0


def test_a_cpu_that_it_did_not_get_is_not_taken_for_its_speed(pace):
    load = (WINDOW, 0, 1, True, 0, True)
    told = pace.module.ffi.new("struct sg_share_load *", load)
    pace.windows(PILED - 1, behind=True)
    pace.now += WINDOW
    assert (
        0 < pace.module.lib.sg_share_decide(pace.share, told, pace.now) < SECOND // 8000
    )


def test_the_pace_slows_while_they_still_pile_up_to_a_hundred_a_second(pace):
    first, second = pace.windows(PILED, behind=True), pace.windows(behind=True)
    assert second == pytest.approx(first * 4 / 3, rel=0.01)
    assert pace.windows(100, behind=True) == SECOND // 100


def test_it_leaves_the_engine_time_to_spare_and_uses_what_is_idle(pace):
    gap = pace.windows(PILED, behind=True)
    slower = pace.windows(20, hit=REFUSED, idle=0)
    assert slower > gap
    settled = pace.windows(20, hit=REFUSED)
    assert pace.windows(20, hit=REFUSED) == settled
    assert settled * 0.6 < pace.windows(100, hit=REFUSED, idle=90) < settled * 0.7


def test_a_busy_engine_alone_leaves_each_port_four_thousand_a_second(pace):
    pace.windows(PILED, behind=True)
    assert pace.windows(500, hit=REFUSED, idle=0) == pytest.approx(
        SECOND / 4000, rel=0.07
    )


def test_it_gives_way_to_who_asks_for_little_more_than_there_is(pace):
    gap = pace.windows(PILED, behind=True)
    assert pace.windows(hit=REFUSED | NEAR, idle=0) == pytest.approx(
        gap * 3 / 4, rel=0.01
    )
    assert pace.windows(hit=NEAR, behind=True) > gap * 3 / 4


def test_it_is_lifted_when_nobody_has_asked_for_more_for_a_second(pace):
    pace.windows(PILED, behind=True)
    assert pace.windows(190) > 0
    assert pace.windows(1, hit=REFUSED) > 0
    assert pace.windows(190) > 0
    assert pace.windows(20) == 0


@pytest.fixture
def ask(core_module: Any) -> Callable[[int, int], list[int]]:
    """Name: ask. Scope: function. Depends: core_module. One sender: what so many packets meet, so far apart."""
    share = core_module.ffi.new("struct seg_share *")
    now = 1000 * SECOND

    def send(count: int, apart: int) -> list[int]:
        nonlocal now
        met = []
        for _ in range(count):
            now += apart
            met.append(core_module.lib.sg_share_ask(share, now, GAP, AHEAD))
        return met

    return send


def test_who_asks_for_its_share_is_neither_near_nor_refused(ask):
    assert set(ask(500, GAP)) == {0}


def test_who_asks_for_more_is_near_first_then_refused_then_greedy(ask):
    met = ask(1000, GAP // 2)
    kinds = [NEAR, REFUSED | NEAR, REFUSED]
    assert [met.index(kind) for kind in kinds] == sorted(map(met.index, kinds))
    assert met.index(NEAR) == AHEAD // GAP - 1
    assert met[-500:].count(0) == pytest.approx(500 / 2 / 8, abs=1)


def test_who_stops_asking_has_its_share_again(ask):
    ask(1000, GAP // 4)
    ask(1, 3 * AHEAD)
    assert set(ask(500, GAP)) == {0}


def flood(core, net, count: int, first: int = 20000, **ends: Any) -> int:
    """How many of so many new flows pass."""
    sent = [core.feed(net.out(udp(first + n), **ends)) for n in range(count)]
    return sum(map(len, sent))


@pytest.fixture
def paced(core, net):
    """Name: paced. Scope: function. Depends: core, net. Two ports without a flow map, behind."""
    for port in (PORT, OTHER_PORT):
        core.set_policy(Rule(), port=port, cache=False)
    core.lib.sg_core_share(core.core, GAP, 0)
    return core


def test_a_port_without_a_flow_map_is_held_to_it_by_the_core(paced, net):
    """Half of it for each peer: one workload's flood at a server leaves others room there."""
    assert flood(paced, net, 200) == HALF
    assert paced.drops() == {"port_share": 200 - HALF}
    assert flood(paced, net, 10, peer=net.other) == 10
    assert flood(paced, net, 10, port=OTHER_PORT) == 10
    paced.now += 4 * AHEAD
    assert flood(paced, net, 200) == HALF


def test_what_is_dropped_is_told_once_a_second_and_the_loop_knows(paced, net):
    assert paced.lib.sg_core_share(paced.core, GAP, 0) == 0
    for first in (20000, 21000):
        flood(paced, net, 200, first)
        paced.now += SECOND
    assert [reason for _, reason in paced.told()] == ["port_share"] * 2
    assert paced.lib.sg_core_share(paced.core, GAP, 0) == REFUSED | NEAR
    assert paced.lib.sg_core_share(paced.core, 0, 0) == 0
    assert flood(paced, net, 200) == 200


def test_the_kernel_does_it_for_a_port_that_has_one(paced, net):
    paced.set_policy(Rule())
    assert flood(paced, net, 200) == 200
    paced.lib.sg_core_share(paced.core, GAP, 1)
    assert flood(paced, net, 200, 30000) == HALF, "what waits came before it knew"


def test_where_only_is_recorded_it_passes_unjudged(paced, net):
    paced.set_policy(Rule(), mode="monitor", cache=False)
    assert flood(paced, net, 200) == 200
    assert paced.passed("port_share") == 200 - HALF
    assert len(paced.sessions()) == HALF


def test_two_addresses_are_one_conversation_whichever_way_and_wherever_it_is_seen(
    core, net
):
    core.set_policy(Rule())
    for frame in (net.out(udp(20000)), net.into(udp(20001)), net.out(udp(20002))):
        core.feed(frame)
    assert core.lib.sg_core_contended(core.core) == 0
    core.feed(net.out(udp(20000), peer=net.other))
    assert core.lib.sg_core_contended(core.core) == 1
    assert core.lib.sg_core_contended(core.core) == 0

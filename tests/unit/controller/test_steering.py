"""What engine and drivers are told of a port: as it comes, moves and goes, and by an engine that is new."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller.commit_order import commit_in_order
from pyctl.errors import SegctlError
from pyctl.model.policy import (
    Action,
    Members,
)
from pyctl.model.workload import DatapathKind, Mode, OtherTraffic
from pyctl.policy.compile.compiler import port_pair
from tests.unit.controller.told import RULES, Recorder, policy, swapped
from tests.unit.state.test_store import PORT, WEB


def test_a_new_pair_has_its_policy_before_its_filters(world):
    recorder, steering = world
    steering.prepare(policy(), 300, DatapathKind.EBPF, lambda: (80,))
    steering.add(300, policy(), DatapathKind.EBPF)
    assert recorder.names() == [
        "node_set",
        "listeners_set",
        "attach",
        "publish",
    ]


def test_a_filter_in_front_is_told_when_it_comes_and_when_it_is_gone(world):
    recorder, steering = world
    steering.prepare(policy(), 300, DatapathKind.EBPF, lambda: (80,))
    steering.add(300, policy(), DatapathKind.EBPF)
    found: dict[int, list[str]] = {}
    recorder.in_front = lambda _pairs, _touched: dict(found)
    told = []
    for lines in ([], ["a", "b"], ["a", "b"], ["b"], []):
        found[300] = lines
        told += [line for _, line in steering.foreign_filters(None)]
    assert told == ["a", "b", "no longer a", "no longer b"]


def test_a_pair_whose_filters_fail_leaves_nothing_in_the_engine(world):
    recorder, steering = world
    recorder.fail_on = "attach"
    with pytest.raises(SegctlError):
        steering.add(300, policy(), DatapathKind.EBPF)
    assert recorder.names()[-2:] == ["detach", "port_delete"]
    assert steering.generations == {}


@pytest.mark.parametrize("moment", ["node_set", "attach", "publish"])
def test_an_agent_that_is_ended_while_it_takes_a_pair_over_leaves_it_steered(
    world, moment
):
    recorder, steering = world
    recorder.fail_on, recorder.failure = moment, SystemExit(143)
    with pytest.raises(SystemExit):
        steering.add(300, policy(), DatapathKind.EBPF)
    assert recorder.names()[-1] == moment


def test_a_new_engine_learns_what_the_others_were_told_under_their_generations(world):
    recorder, steering = world
    steering.prepare(policy(), 300, DatapathKind.EBPF, lambda: (80,))
    steering.add(300, policy(), DatapathKind.EBPF)
    before = steering.generations[300]
    recorder.told.clear()
    recorder.on_new_engine()
    assert recorder.names() == ["node_set", "listeners_set"]
    assert [generation for _, generation in swapped(recorder)] == [before]
    assert steering.generations[300] == before


@pytest.mark.parametrize(
    ("other", "mode", "passes"),
    [
        (OtherTraffic.AUTO, Mode.DISCOVER, True),
        (OtherTraffic.AUTO, Mode.MONITOR, True),
        (OtherTraffic.AUTO, Mode.PROTECT, False),
        (OtherTraffic.PASS, Mode.PROTECT, True),
        (OtherTraffic.DROP, Mode.DISCOVER, False),
    ],
)
def test_other_ethertypes_follow_the_option_and_by_default_the_mode(
    other, mode, passes
):
    pair = port_pair(replace(WEB, other_traffic=other), PORT, mode)
    assert pair.pass_other is passes


def cached(recorder: Recorder) -> list[bool]:
    """What each swap so far said of the verdict cache."""
    return [told.cache for told, _ in swapped(recorder)]


def test_a_port_of_u32_is_never_cached(world):
    """Nor after a change, nor by a new engine: nobody would find the entries, or delete them."""
    recorder, steering = world
    steering.prepare(policy(), 300, DatapathKind.U32, lambda: ())
    steering.add(300, policy(), DatapathKind.U32)
    commit_in_order(steering, policy(default=Action.ALLOW))
    recorder.on_new_engine()
    assert cached(recorder) == [False, False, False]
    assert steering.changes(policy(default=Action.ALLOW)) == []


def test_a_port_leaves_ebpf_after_its_last_entry(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    steering.move(pair, DatapathKind.U32)
    assert recorder.names() == ["policy_set", "publish", "hand_over", "publish"]
    assert cached(recorder) == [False]
    assert recorder.told[1][1] == {300: recorder.told[0][1]}


def test_a_port_is_cached_again_when_ebpf_stands(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(300, policy(), DatapathKind.U32)
    recorder.told.clear()
    steering.move(pair, DatapathKind.EBPF)
    assert recorder.names() == ["publish", "hand_over", "policy_set", "publish"]
    assert cached(recorder) == [True]
    assert recorder.told[3][1] == {300: recorder.told[2][1]}


def test_a_move_that_fails_leaves_the_cache_as_it_was(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(300, policy(), DatapathKind.EBPF)
    ways: list[DatapathKind] = []

    def once_refused(_pair, _former, kind) -> None:
        ways.append(kind)
        if kind is DatapathKind.U32:
            raise SegctlError("no such module")

    recorder.hand_over = once_refused
    with pytest.raises(SegctlError):
        steering.move(pair, DatapathKind.U32)
    assert ways == [DatapathKind.U32, DatapathKind.EBPF]
    assert cached(recorder) == [True, False, True]


def test_who_comes_while_a_failed_policy_is_in_the_engine_takes_it_from_all(world):
    """Else the others would keep their verdicts of it: with the rules as they should be, nothing more
    is to be told."""
    recorder, steering = world
    steering.add(300, policy(node=RULES), DatapathKind.EBPF)
    recorder.told.clear()
    wanted = policy()
    two = replace(wanted.ports[300], port_id=301)
    joining = replace(
        wanted,
        ports={**wanted.ports, 301: two},
        members=Members({**wanted.members.ports, 301: (0, 1)}),
        own={**wanted.own, 301: ()},
    )
    steering.prepare(joining, 301, DatapathKind.EBPF, lambda: ())
    told = {policy.port_id: number for policy, number in swapped(recorder)}
    assert told.keys() == {300, 301}
    assert ("publish", {300: told[300]}) in recorder.told

"""The order in which engine and kernel learn of a change is a security property."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from pyctl.controller import steering as module
from pyctl.controller.steering import Steering
from pyctl.errors import SegctlError
from pyctl.model.policy import (
    Action,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.workload import DatapathKind, Mode, OtherTraffic
from pyctl.policy.compile.compiler import Compiled, Part, compile_policy, port_pair
from pyctl.policy.document.types import EMPTY
from tests import packets
from tests.unit.state.test_store import PORT, WEB


class Recorder:
    """Driver, engine and supervisor in one: writes down who was told what, in order."""

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.owned: list[tuple] = []
        """What drivers were told of owners, which is no port's."""
        self.on_new_engine = lambda: None
        self.fail_on = ""
        self.failure: BaseException | None = None

    def __getattr__(self, name):
        def call(*args):
            self.told.append((name, *args))
            if name == self.fail_on:
                raise self.failure or SegctlError(f"{name} failed")

        return call

    def of(self, _kind) -> Recorder:
        return self

    def write_owners(self, *args) -> None:
        self.owned.append(args)

    def holder(self, _port_id, *, besides) -> None:
        """Nothing is left in the other datapath."""

    def call_engine(self, what) -> None:
        what(self)

    def names(self) -> list[str]:
        return [entry[0] for entry in self.told]


@pytest.fixture
def world(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(
        module, "wait_for_programs", lambda: recorder.told.append(("grace period",))
    )
    return recorder, Steering(recorder, recorder)


NODE = NodePolicy(("any", "web"))
RULES = replace(NODE, rules=(NodeRule(1, 0, 1, (PortMatch(0),), Action.ALLOW),))


def policy(
    mode: Mode = Mode.PROTECT,
    default: Action = Action.DENY,
    node: NodePolicy = NODE,
    **members: Any,
) -> Compiled:
    """A node with one port, which is in the group web."""
    ports = {300: PortPolicy(300, mode, PORT.mac, None, default)}
    known = Members(**{"ports": {300: (0, 1)}, **members})
    pairs = {300: port_pair(WEB, PORT, mode)}
    part = Part(WEB, (0, 1), ports, pairs, {300: ()}, tuple(known.addresses))
    return Compiled(node, known, ports, {300: ()}, pairs, {WEB.id: part})


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
    assert steering.policy_of(300) == (None, 0)


@pytest.mark.parametrize("moment", ["node_set", "attach", "publish"])
def test_an_agent_that_is_ended_while_it_takes_a_pair_over_leaves_it_steered(
    world, moment
):
    recorder, steering = world
    recorder.fail_on, recorder.failure = moment, SystemExit(143)
    with pytest.raises(SystemExit):
        steering.add(300, policy(), DatapathKind.EBPF)
    assert recorder.names()[-1] == moment


def test_a_change_is_swapped_published_and_waited_for_in_this_order(world):
    recorder, steering = world
    steering.add(300, policy(Mode.DISCOVER, Action.ALLOW), DatapathKind.EBPF)
    recorder.told.clear()
    steering.change(policy())
    assert recorder.names() == [
        "update",
        "policy_set",
        "publish",
        "grace period",
        "sync",
    ]


def test_the_published_generation_is_the_one_the_engine_stamps(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    steering.change(policy(default=Action.ALLOW))
    set_to = [generation for _, generation in swapped(recorder)]
    published = [entry[1][300] for entry in recorder.told if entry[0] == "publish"]
    assert set_to == published
    assert set_to == sorted(set(set_to))


def test_what_did_not_change_is_not_told_again(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    steering.change(policy())
    assert recorder.told == []


def test_a_port_that_was_half_detached_is_no_failure_of_the_others(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.fail_on = "detach"
    with pytest.raises(SegctlError):
        steering.remove(300)
    recorder.told.clear()
    steering.change(replace(policy(), members=Members(), ports={}))
    assert recorder.told == []


def test_a_new_engine_learns_every_policy_under_new_generations(world):
    recorder, steering = world
    steering.prepare(policy(), 300, DatapathKind.EBPF, lambda: (80,))
    steering.add(300, policy(), DatapathKind.EBPF)
    before = steering.policy_of(300)[1]
    recorder.told.clear()
    recorder.on_new_engine()
    assert recorder.names() == ["node_set", "listeners_set", "publish"]
    assert steering.policy_of(300)[1] > before


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


def swapped(recorder: Recorder) -> list[tuple[PortPolicy, int]]:
    """Each swap of the port's policy so far, alone or with the node's."""
    found = []
    for name, *given in recorder.told:
        if name == "policy_set":
            found.append((given[1], given[0]))
        elif name in {"node_set", "members_set"}:
            found += given[2]
    return found


def cached(recorder: Recorder) -> list[bool]:
    """What each swap so far said of the verdict cache."""
    return [told.cache for told, _ in swapped(recorder)]


def test_new_rules_come_with_the_generations_of_the_ports_they_concern(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    assert steering.change(policy(node=RULES)) == 1
    assert recorder.names() == [
        "node_set",
        "publish",
        "grace period",
        "sync",
    ]
    ((_, generation),) = swapped(recorder)
    assert recorder.told[1][1] == {300: generation}


def test_who_joins_is_a_delta(world):
    recorder, steering = world
    steering.add(300, policy(node=RULES), DatapathKind.EBPF)
    recorder.told.clear()
    peer = {ip_address(packets.pod_two_ip4): (0, 1)}
    assert steering.change(policy(node=RULES, addresses=peer)) == 1
    assert recorder.names()[:2] == ["members_set", "publish"]
    assert recorder.told[0][2] == Members({}, peer)


def test_what_an_engine_refused_is_told_whole_the_next_time(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.fail_on = "node_set"
    with pytest.raises(SegctlError):
        steering.change(policy(node=RULES))
    recorder.fail_on = ""
    recorder.told.clear()
    steering.change(policy())
    assert recorder.names()[:2] == ["node_set", "publish"]


def test_a_port_of_u32_is_never_cached(world):
    """Nor after a change, nor by a new engine: nobody would find the entries, or delete them."""
    recorder, steering = world
    steering.prepare(policy(), 300, DatapathKind.U32, lambda: ())
    steering.add(300, policy(), DatapathKind.U32)
    steering.change(policy(default=Action.ALLOW))
    recorder.on_new_engine()
    assert cached(recorder) == [False, False, False]
    assert steering.changes(policy(default=Action.ALLOW)) == []


def test_a_port_leaves_ebpf_after_its_last_entry(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    steering.move(pair, DatapathKind.U32)
    assert recorder.names() == ["policy_set", "hand_over", "publish"]
    assert cached(recorder) == [False]


def test_a_port_is_cached_again_when_ebpf_stands(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(300, policy(), DatapathKind.U32)
    recorder.told.clear()
    steering.move(pair, DatapathKind.EBPF)
    assert recorder.names() == ["hand_over", "policy_set", "publish"]
    assert cached(recorder) == [True]
    assert recorder.told[2][1] == {300: recorder.told[1][1]}


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


@pytest.mark.parametrize("step", ["update", "node_set", "publish", "sync"])
def test_after_a_change_that_failed_half_way_the_former_is_told_whole(world, step):
    """Whatever the engine took of it."""
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.DISCOVER)
    before = policy(Mode.DISCOVER, Action.ALLOW)
    steering.add(300, before, DatapathKind.EBPF)
    recorder.fail_on = step
    with pytest.raises(SegctlError):
        steering.change(policy(node=RULES))
    recorder.fail_on = ""
    recorder.told.clear()
    steering.change(before)
    assert steering.applied == before
    assert ("update", pair) in recorder.told
    if step != "update":
        assert swapped(recorder)[-1][0] == before.ports[300]
        assert recorder.names()[-3:] == ["publish", "grace period", "sync"]


@pytest.mark.parametrize("step", ["node_set", "publish"])
def test_a_change_that_failed_is_made_by_the_next_attempt(world, step):
    """Though it is the very same, as where a watcher tries again: verdicts of the former rules are in
    the kernel, and in the engine."""
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.fail_on = step
    after = policy(node=RULES)
    with pytest.raises(SegctlError):
        steering.change(after)
    recorder.fail_on = ""
    recorder.told.clear()
    assert steering.change(after) == 1
    assert recorder.names()[-3:] == ["publish", "grace period", "sync"]
    ((_, generation),) = swapped(recorder)
    assert ("publish", {300: generation}) in recorder.told
    recorder.told.clear()
    assert steering.change(after) == 0
    assert recorder.told == []


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


def two_ports(quarantined: int = 0) -> Compiled:
    """Two workloads of one port each; that which is quarantined is, the other changes too."""
    loads = []
    for port_id in (300, 301):
        port = replace(PORT, port_id=port_id)
        mode = Mode.QUARANTINE if port_id == quarantined else None
        load = replace(WEB, id=str(port_id), ports=(port,), forced_mode=mode)
        loads.append(replace(load, any_source=bool(quarantined)))
    return compile_policy(EMPTY, loads)


def test_quarantine_is_first_and_a_refusal_keeps_none_of_the_others_from_theirs(world):
    """A map that one workload fills must not keep another from being cut off."""
    recorder, steering = world
    before = two_ports()
    for port_id in before.ports:
        steering.prepare(before, port_id, DatapathKind.EBPF, list)
        steering.add(port_id, before, DatapathKind.EBPF)
    recorder.told.clear()
    recorder.fail_on = "update"
    after = two_ports(quarantined=301)
    with pytest.raises(SegctlError, match="update failed"):
        steering.change(after)
    updated = [pair.port_id for name, pair, *_ in recorder.told if name == "update"]
    assert updated == [301, 300]
    assert "policy_set" in recorder.names()


def test_owners_are_told_of_all_pairs(world):
    recorder, steering = world
    before = two_ports()
    steering.change(before)
    assert recorder.owned == [(before.pairs, {}, before.node.cidrs)]

"""The order in which engine and kernel learn of a change is a security property."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from pyctl.controller.commit_order import commit_in_order
from pyctl.errors import SegctlError
from pyctl.model.policy import (
    Action,
    Members,
)
from pyctl.model.workload import DatapathKind, Mode
from pyctl.policy.compile.compiler import Compiled, port_pair
from tests import packets
from tests.unit.controller.told import RULES, policy, swapped, two_ports
from tests.unit.state.test_store import PORT, WEB


def test_a_change_is_swapped_published_and_waited_for_in_this_order(world):
    recorder, steering = world
    steering.add(300, policy(Mode.DISCOVER, Action.ALLOW), DatapathKind.EBPF)
    recorder.told.clear()
    commit_in_order(steering, policy())
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
    commit_in_order(steering, policy(default=Action.ALLOW))
    set_to = [generation for _, generation in swapped(recorder)]
    published = [entry[1][300] for entry in recorder.told if entry[0] == "publish"]
    assert set_to == published
    assert set_to == sorted(set(set_to))


def test_what_did_not_change_is_not_told_again(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    commit_in_order(steering, policy())
    assert recorder.told == []


def test_a_port_that_was_half_detached_is_no_failure_of_the_others(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.fail_on = "detach"
    with pytest.raises(SegctlError):
        steering.remove(300)
    recorder.told.clear()
    commit_in_order(steering, replace(policy(), members=Members(), ports={}))
    assert recorder.told == []


def test_new_rules_come_with_the_generations_of_the_ports_they_concern(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    assert commit_in_order(steering, policy(node=RULES)) == 1
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
    assert commit_in_order(steering, policy(node=RULES, addresses=peer)) == 1
    assert recorder.names()[:2] == ["members_set", "publish"]
    assert recorder.told[0][2] == Members({}, peer)


def test_what_an_engine_refused_is_told_whole_the_next_time(world):
    recorder, steering = world
    steering.add(300, policy(), DatapathKind.EBPF)
    recorder.fail_on = "node_set"
    with pytest.raises(SegctlError):
        commit_in_order(steering, policy(node=RULES))
    recorder.fail_on = ""
    recorder.told.clear()
    commit_in_order(steering, policy())
    assert recorder.names()[:2] == ["node_set", "publish"]


def test_a_delta_that_the_engine_refused_is_told_whole_the_next_time(world):
    """Half of it may hold there."""
    recorder, steering = world
    steering.add(300, policy(node=RULES), DatapathKind.EBPF)
    after = policy(node=RULES, addresses={ip_address(packets.pod_two_ip4): (0, 1)})
    recorder.fail_on = "members_set"
    with pytest.raises(SegctlError):
        commit_in_order(steering, after)
    recorder.fail_on = ""
    recorder.told.clear()
    commit_in_order(steering, after)
    assert recorder.names()[:2] == ["node_set", "publish"]
    recorder.told.clear()
    commit_in_order(steering, policy(node=RULES))
    assert recorder.names()[0] == "members_set", "what it took, it has"


def test_an_engine_that_was_told_nothing_is_told_all_rules(world):
    recorder, steering = world
    commit_in_order(steering, Compiled(node=RULES))
    assert recorder.names() == ["node_set"]
    recorder.told.clear()
    commit_in_order(steering, Compiled(node=RULES))
    assert recorder.names() == []


@pytest.mark.parametrize("step", ["update", "node_set", "publish", "sync"])
def test_after_a_change_that_failed_half_way_the_former_is_told_whole(world, step):
    """Whatever the engine took of it."""
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.DISCOVER)
    before = policy(Mode.DISCOVER, Action.ALLOW)
    steering.add(300, before, DatapathKind.EBPF)
    recorder.fail_on = step
    with pytest.raises(SegctlError):
        commit_in_order(steering, policy(node=RULES))
    recorder.fail_on = ""
    recorder.told.clear()
    commit_in_order(steering, before)
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
        commit_in_order(steering, after)
    recorder.fail_on = ""
    recorder.told.clear()
    assert commit_in_order(steering, after) == 1
    assert recorder.names()[-3:] == ["publish", "grace period", "sync"]
    ((_, generation),) = swapped(recorder)
    assert ("publish", {300: generation}) in recorder.told
    recorder.told.clear()
    assert commit_in_order(steering, after) == 0
    assert recorder.told == []


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
        commit_in_order(steering, after)
    updated = [pair.port_id for name, pair, *_ in recorder.told if name == "update"]
    assert updated == [301, 300]
    assert "policy_set" in recorder.names()


def test_owners_are_told_of_all_pairs(world):
    recorder, steering = world
    before = two_ports()
    commit_in_order(steering, before)
    assert recorder.owned == [(before.pairs, {}, before.node.cidrs)]

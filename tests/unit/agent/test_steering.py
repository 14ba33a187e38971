"""The order in which engine and kernel learn of a change is a security property."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.agent import steering as module
from pyctl.agent.steering import Steering, port_pair
from pyctl.errors import SegctlError
from pyctl.model.policy import Action, PortPolicy
from pyctl.model.workload import DatapathKind, Mode, OtherTraffic
from tests.unit.agent.test_store import PORT, WEB


class Recorder:
    """Driver, engine and supervisor in one: writes down who was told what, in order."""

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.on_new_engine = lambda: None
        self.fail_on = ""

    def __getattr__(self, name):
        def call(*args):
            self.told.append((name, *args))
            if name == self.fail_on:
                raise SegctlError(f"{name} failed")

        return call

    def of(self, _kind) -> Recorder:
        return self

    def holder(self, _port_id, *, besides) -> None:
        """Nothing is left in the other datapath."""

    def tell(self, what) -> None:
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


def policy(mode: Mode = Mode.PROTECT, default: Action = Action.DENY) -> PortPolicy:
    return PortPolicy(300, mode, PORT.mac, (), default)


def test_a_new_pair_has_its_policy_before_its_filters(world):
    recorder, steering = world
    steering.prepare(policy(), DatapathKind.EBPF, lambda: (80,))
    steering.add(port_pair(WEB, PORT, Mode.PROTECT), policy(), DatapathKind.EBPF)
    assert recorder.names() == [
        "policy_set",
        "listeners_set",
        "attach",
        "publish_generation",
    ]


def test_a_pair_whose_filters_fail_leaves_nothing_in_the_engine(world):
    recorder, steering = world
    recorder.fail_on = "attach"
    with pytest.raises(SegctlError):
        steering.add(port_pair(WEB, PORT, Mode.PROTECT), policy(), DatapathKind.EBPF)
    assert recorder.names()[-2:] == ["detach", "port_delete"]
    assert steering.policy_of(300) == (None, 0)


def test_a_change_is_swapped_published_and_waited_for_in_this_order(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.DISCOVER)
    steering.add(pair, policy(Mode.DISCOVER, Action.ALLOW), DatapathKind.EBPF)
    recorder.told.clear()
    steering.change([policy()], [replace(pair, mode=Mode.PROTECT)])
    assert recorder.names() == [
        "update",
        "policy_set",
        "publish_generation",
        "grace period",
        "sync",
    ]


def test_the_published_generation_is_the_one_the_engine_stamps(world):
    recorder, steering = world
    steering.add(port_pair(WEB, PORT, Mode.PROTECT), policy(), DatapathKind.EBPF)
    steering.change([policy(default=Action.ALLOW)], [])
    set_to = [entry[1] for entry in recorder.told if entry[0] == "policy_set"]
    published = [
        entry[2] for entry in recorder.told if entry[0] == "publish_generation"
    ]
    assert set_to == published
    assert set_to == sorted(set(set_to))


def test_what_did_not_change_is_not_told_again(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(pair, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    steering.change([policy()], [pair])
    assert recorder.told == []


def test_a_port_that_was_half_detached_is_no_failure_of_the_others(world):
    recorder, steering = world
    steering.add(port_pair(WEB, PORT, Mode.PROTECT), policy(), DatapathKind.EBPF)
    recorder.fail_on = "detach"
    with pytest.raises(SegctlError):
        steering.remove(300)
    recorder.told.clear()
    steering.change([], [port_pair(WEB, PORT, Mode.PROTECT)])
    assert recorder.told == []


def test_a_new_engine_learns_every_policy_under_new_generations(world):
    recorder, steering = world
    steering.prepare(policy(), DatapathKind.EBPF, lambda: (80,))
    steering.add(port_pair(WEB, PORT, Mode.PROTECT), policy(), DatapathKind.EBPF)
    before = steering.policy_of(300)[1]
    recorder.told.clear()
    recorder.on_new_engine()
    assert recorder.names() == ["policy_set", "listeners_set", "publish_generation"]
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


def cached(recorder: Recorder) -> list[bool]:
    """What each swap so far said of the verdict cache."""
    return [entry[2].cache for entry in recorder.told if entry[0] == "policy_set"]


def test_a_port_of_u32_is_never_cached(world):
    """Nor after a change, nor by a new engine: nobody would find the entries, or delete them."""
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.prepare(policy(), DatapathKind.U32, lambda: ())
    steering.add(pair, policy(), DatapathKind.U32)
    steering.change([policy(default=Action.ALLOW)], [pair])
    recorder.on_new_engine()
    assert cached(recorder) == [False, False, False]
    assert steering.differs([policy(default=Action.ALLOW)]) == []


def test_a_port_leaves_ebpf_after_its_last_entry(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(pair, policy(), DatapathKind.EBPF)
    recorder.told.clear()
    steering.move(pair, DatapathKind.U32)
    assert recorder.names() == ["policy_set", "hand_over", "publish_generation"]
    assert cached(recorder) == [False]


def test_a_port_is_cached_again_when_ebpf_stands(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(pair, policy(), DatapathKind.U32)
    recorder.told.clear()
    steering.move(pair, DatapathKind.EBPF)
    assert recorder.names() == ["hand_over", "policy_set", "publish_generation"]
    assert cached(recorder) == [True]
    assert recorder.told[1][1] == recorder.told[2][2]


def test_a_move_that_fails_leaves_the_cache_as_it_was(world):
    recorder, steering = world
    pair = port_pair(WEB, PORT, Mode.PROTECT)
    steering.add(pair, policy(), DatapathKind.EBPF)
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

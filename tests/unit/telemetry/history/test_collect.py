"""What the engine tells is recorded once, whoever of engine and agent is restarted meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from pyctl.engine.client import EventBatch, HitBatch
from pyctl.engine.process.requests import MAX_EVENTS
from pyctl.engine.records import EVENT_BYTES, HIT_DEFAULT, Hit, LearntName, constant
from pyctl.model.policy import Action
from pyctl.model.worker import ALONE, Worker
from pyctl.state.registry import Registry
from pyctl.telemetry.history import collect
from pyctl.telemetry.history.collect import FLOOD, Collector
from pyctl.telemetry.history.convert import wall_clock
from pyctl.telemetry.history.hits import Count
from tests.unit.engine.event_blob import packed
from tests.unit.observe.makers import NoStore
from tests.unit.telemetry.history.test_convert import END
from tests.unit.telemetry.test_open_flows import AT_DB, AT_WEB, LOADS


@dataclass
class Engine:
    """An engine that keeps its events until they are acknowledged."""

    epoch: int = 1
    numbered: int = 0
    kept: list = field(default_factory=list)
    lost: int = 0
    away: bool = False
    counting: HitBatch | None = None
    live: list = field(default_factory=list)
    worker: Worker = ALONE
    names: tuple[str, ...] = ()

    @property
    def each(self) -> tuple[Engine, ...]:
        return (self,)

    def tell(self, *sports: int, **changes) -> None:
        for sport in sports:
            self.numbered += 1
            self.kept.append((self.numbered, replace(END, sport=sport, **changes)))

    def restarted(self) -> None:
        self.epoch, self.numbered, self.kept = self.epoch + 1, 0, []

    def events(self, epoch, *, ack, after, limit):
        if self.away:
            return None
        same = epoch == self.epoch
        self.kept = [one for one in self.kept if not same or one[0] > ack]
        found = [one for one in self.kept if not same or one[0] > after][:limit]
        first = found[0][0] if found else self.numbered + 1
        lost, self.lost = self.lost, 0
        return EventBatch(
            packed(*(event for _, event in found)), self.epoch, first, lost
        )

    def hits(self, epoch, *, after):
        self.asked_after = (epoch, after)
        return self.counting

    def name_counts(self, _ports):
        return {"learnt": len(self.names)}

    def names_of(self, peers):
        return [
            LearntName(*(*peer, name, None, "", 1, 2, 3), False, False, (), 0)
            for peer in peers
            for name in self.names
        ]

    def sessions(self, limit):
        return self.live[:limit]


class Disk:
    """A history that writes when a test says so."""

    def __init__(self, done=None) -> None:
        self.done = self.positions = done or {0: (0, 0)}
        self.flows: list[int] = []
        self.counted = 0
        self.counts: list[Count] = []

    @property
    def position(self) -> tuple[int, int]:
        return self.positions[0]

    def record(self, flows=(), positions=None, counts=()) -> None:
        self.flows += [one.sport for one in flows]
        self.counted += sum(one.flows for one in flows)
        self.positions = {**self.positions, **(positions or {})}
        self.counts += counts

    def write(self) -> None:
        self.done = self.positions


class Agent:
    """A collector and what it handed on."""

    def __init__(self, engine: Engine, done=None) -> None:
        self.disk = Disk(done)
        self.told: list = []
        registry = Registry(NoStore())
        for load in LOADS:
            registry.put(load)
        self.collector = Collector(engine, registry, self.disk, self.told.append)

    def collect(self) -> list[int]:
        self.disk.flows.clear()
        self.collector.collect()
        return list(self.disk.flows)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def agent(engine) -> Agent:
    return Agent(engine)


def test_an_event_is_taken_once_and_kept_until_it_is_on_disk(engine, agent):
    engine.tell(1, 2)
    assert agent.collect() == [1, 2]
    assert agent.collect() == []
    assert len(engine.kept) == 2, "not acknowledged: it is not on disk yet"
    agent.disk.write()
    engine.tell(3)
    assert agent.collect() == [3]
    assert [number for number, _ in engine.kept] == [3]
    assert agent.disk.position == (1, 3)


def test_ended_flows_are_counted_by_application_once(engine, agent):
    engine.tell(1, 2, app="Redis")
    engine.tell(3, app="Redis", app_guessed=True)
    engine.tell(4)
    engine.tell(5, app="Redis", kind="violation")
    agent.collect()
    engine.tell(*(range(3000)), app="TLS")
    agent.collect()
    agent.collect()
    assert agent.collector.ended == {
        ("Redis", False): 2,
        ("Redis", True): 1,
        (None, False): 1,
        ("TLS", False): 3000,
    }


def test_another_engine_s_events_are_all_new(engine, agent):
    engine.tell(1, 2)
    agent.collect()
    agent.disk.write()
    engine.restarted()
    engine.tell(3)
    assert agent.collect() == [3]
    assert agent.disk.position == (2, 1)


def test_the_next_agent_records_only_what_the_former_did_not(engine, agent):
    engine.tell(1, 2)
    agent.collect()
    agent.disk.write()
    engine.tell(3)
    after = Agent(engine, done=agent.disk.done)
    assert after.collect() == [3]


def test_what_the_former_agent_took_and_did_not_write_is_taken_again(engine, agent):
    engine.tell(1, 2)
    agent.collect()
    after = Agent(engine, done=agent.disk.done)
    assert after.collect() == [1, 2]


def test_with_both_restarted_all_is_taken(engine, agent):
    engine.tell(1, 2)
    agent.collect()
    agent.disk.write()
    engine.restarted()
    engine.tell(3, 4)
    after = Agent(engine, done=agent.disk.done)
    assert after.collect() == [3, 4]


def test_many_batches_are_taken_at_once(engine, agent, monkeypatch):
    monkeypatch.setattr(collect, "_BATCH", 300)
    engine.tell(*range(2000))
    assert agent.collect() == list(range(2000))


def test_what_was_taken_before_a_failure_is_recorded_with_its_position(
    engine, agent, monkeypatch
):
    monkeypatch.setattr(collect, "_BATCH", 1000)
    engine.tell(*range(1500))
    first = engine.events

    def once(epoch, **asked):
        if asked["after"]:
            raise OSError("odd")
        return first(epoch, **asked)

    monkeypatch.setattr(engine, "events", once)
    with pytest.raises(OSError, match="odd"):
        agent.collect()
    assert agent.disk.flows == list(range(1000))
    assert agent.disk.position == (1, 1000)
    monkeypatch.undo()
    assert agent.collect() == list(range(1000, 1500))


def test_without_an_engine_nothing_is_recorded(engine, agent):
    engine.away = True
    assert agent.collect() == []
    assert (agent.told, agent.disk.position) == ([], (0, 0))


def test_denials_are_told_with_the_name_of_their_workload(engine, agent):
    engine.tell(1, kind="drop", verdict=Action.DENY, reason="default_deny")
    engine.tell(2, kind="violation")
    assert agent.collect() == [1], "a violation's flow is recorded when it ends"
    assert [(one.kind, one.workload) for one in agent.told] == [
        ("denial", "web"),
        ("violation", "web"),
    ]


def test_a_flood_of_denials_is_summed_up(engine, agent):
    many = range(1, 3 * FLOOD)
    engine.tell(*many, kind="drop", verdict=Action.DENY, reason="default_deny")
    agent.collect()
    assert len(agent.told) <= FLOOD
    assert sum(one.packets for one in agent.told) == 2 * len(many)


def test_a_flood_of_ended_flows_is_summed_up_and_each_is_counted(engine, agent):
    others = range(5001, 5004)
    engine.tell(*range(1, 5001))
    engine.tell(*others, port_id=AT_DB.port_id)
    assert agent.collect() == [None, *others]
    assert agent.disk.counted == 5003
    assert agent.disk.position == (1, 5003)


def test_one_round_takes_more_than_the_engine_keeps():
    kept = constant("SG_STORE_EVENTS") // EVENT_BYTES
    assert kept < collect._BATCH * collect._BATCHES
    assert collect._BATCH <= MAX_EVENTS


def test_events_that_were_lost_are_told_at_most_once_a_minute(
    engine, agent, monkeypatch
):
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(collect, "time", clock)
    for seconds, told in ((0, ["7 flows"]), (30, []), (30, ["14 flows"]), (90, [])):
        clock.now += seconds
        engine.lost = 7 if seconds < 90 else 0
        agent.told.clear()
        agent.collect()
        assert [one.message.partition(" and")[0] for one in agent.told] == told
    assert agent.collector.lost == 21


def test_hits_are_counted_on_from_the_last_change(engine, agent):
    engine.counting = HitBatch([Hit(HIT_DEFAULT, 3, 0)], epoch=4, serial=8)
    agent.collect()
    assert engine.asked_after == (0, 0)
    (count,) = agent.disk.counts
    assert (count.key, count.epoch, count.hits) == (HIT_DEFAULT, 4, 3)
    engine.counting = None
    agent.collect()
    agent.collect()
    assert engine.asked_after == (4, 8)
    assert len(agent.disk.counts) == 1


def test_live_flows_have_names_and_say_whether_they_are_all(engine, agent):
    engine.live = [AT_WEB, AT_DB]
    flows, all_of_them = agent.collector.live(10)
    assert {one.workload for one in flows} == {"web", "db"}
    assert all_of_them
    assert not agent.collector.live(2)[1]


def test_a_rule_in_use_was_used_when_its_last_flow_was_seen(engine, agent):
    older, newer = 1_000_000_000, 9_000_000_000
    engine.live = [
        replace(AT_WEB, keys=(7, 8), last_seen_ns=newer),
        replace(AT_DB, keys=(7,), last_seen_ns=older),
    ]
    used = agent.collector.in_use(10)
    assert used == pytest.approx({7: wall_clock(newer), 8: wall_clock(newer)}, abs=1)


def test_two_engines_are_taken_apart_and_each_is_acknowledged_its_own():
    first = Engine(epoch=5, worker=Worker(0, 2))
    second = Engine(epoch=6, worker=Worker(1, 2))
    counting = HitBatch([Hit(7, 2, 1)], 6, 3)
    second.counting = counting
    agent = Agent(SimpleNamespace(each=(first, second), name_counts=first.name_counts))
    first.tell(1, 2)
    second.tell(3)
    assert agent.collect() == [1, 2, 3]
    assert agent.disk.positions == {0: (5, 2), 1: (6, 1)}
    agent.disk.write()
    second.restarted()
    second.tell(4)
    assert agent.collect() == [4]
    assert (first.kept, len(second.kept)) == ([], 1)
    assert agent.disk.positions == {0: (5, 2), 1: (7, 1)}
    assert {(one.worker, one.hits) for one in agent.disk.counts} == {(1, 2)}


def test_a_flow_is_recorded_with_the_names_under_which_its_end_was_looked_up(
    engine, agent, monkeypatch
):
    kept: list = []
    monkeypatch.setattr(agent.disk, "record", lambda flows=(), **_: kept.extend(flows))
    engine.names = ("db.internal",)
    engine.tell(1)
    agent.collector.collect()
    assert [one.looked_up for one in kept] == ["db.internal"]
    engine.live = [AT_WEB]
    (found,), _ = agent.collector.live(10)
    assert found.looked_up == "db.internal"

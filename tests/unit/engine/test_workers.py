"""Engines that share the packets: all are told, one that does not answer is replaced alone, and what each counts is a sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pyctl import abi
from pyctl.engine import workers as module
from pyctl.engine.records import LearntName
from pyctl.engine.workers import Workers
from pyctl.errors import RefusedError, SegctlError, UnreachableError
from pyctl.model.instance import Instance
from pyctl.model.worker import Worker
from pyctl.model.workload import Counter
from tests import packets

ROW = {
    "state": "running",
    "pid": 7,
    "heartbeat_age_ms": 1.0,
    "restarts": 0,
    "sessions": 2,
    "ring_drops": 1,
    "pace": None,
    "flow_map": {"entries": 3, "capacity": 10},
}
STATS = {
    "frames": 5,
    "ring_drops": [1, 0, 2],
    "heartbeat_ns": 100,
    "share_gap_ns": 0,
    "cache": 1,
}


class Kept:
    """A supervisor of an engine that answers, refuses, or is silent."""

    def __init__(self, _instance, *, worker: Worker, cache_limit, flow_cache) -> None:
        self.worker, self.cache_limit, self.flow_cache = worker, cache_limit, flow_cache
        self.told: list[str] = []
        self.silent = False
        self.refuses: SegctlError | None = None
        self.pid, self.restarts = 100 + worker.number, 0
        self.log_level = "info"
        self.on_new_engine: Callable[[Kept], None] = lambda _: None
        self.row, self.found = dict(ROW), dict(STATS)
        self.up = True

    def start(self) -> None:
        self.told.append("start")

    def tell(self, what) -> bool:
        if self.refuses:
            raise self.refuses
        if not self.silent:
            what(self)
        return not self.silent

    def note(self, word: str) -> None:
        self.told.append(word)

    def replace(self, former: int) -> None:
        assert former == self.pid
        self.restarts += 1
        self.on_new_engine(self)

    def status(self) -> dict[str, object]:
        return {**self.row, "restarts": self.restarts}

    def stats(self) -> dict[str, object]:
        return self.found

    def counters(self, port_id: int) -> dict[str, Counter]:
        return {
            "to_engine": Counter(port_id, 10, 1),
            f"of{self.worker.number}": Counter(1, 1, 0),
        }

    def flow_map(self, ports: list[int]) -> dict[str, int] | None:
        return {"entries": len(ports), "capacity": 5} if self.up else None

    def session_count(self, _port_id: int) -> int:
        return 4

    def sessions(self, limit: int, port_id: int) -> list[int]:
        # Of one port each engine has one.
        return [self.worker.number] * min(limit, 1 if port_id else 3)

    def names(self, _limit: int, port_id: int) -> list[LearntName]:
        alike = LearntName(
            *(port_id, packets.world_ip4, "db", None, packets.gateway_ip4),
            *(1, 2, 3, self.worker.number == 1, False, (), 0),
        )
        return [alike, replace(alike, asked=f"of{self.worker.number}")]

    def names_of(self, peers) -> list[LearntName]:
        return self.names(10, peers[0][0])[1:]

    def name_counts(self, port_id: int) -> dict[str, int]:
        return {"learnt": port_id}

    def namespace(self) -> int | None:
        return 9 if self.worker.number else None

    def on_device(self) -> bool:
        return self.up

    def carries(self) -> bool:
        return self.up


@pytest.fixture
def engines(monkeypatch, tmp_path) -> Workers:
    """Name: engines. Scope: function. Three of them, on paper."""
    monkeypatch.setattr(module, "Supervisor", Kept)
    monkeypatch.setattr(Instance, "run_dir", tmp_path)
    return Workers(Instance("segt-workers"), 3)


def test_each_has_its_number_and_its_share_of_the_flow_maps(engines, monkeypatch):
    assert [one.worker for one in engines.each] == [Worker(n, 3) for n in range(3)]
    whole = 2 * abi.constant("SEG_FLOWS_MAX")
    assert {one.cache_limit for one in engines.each} == {whole // 3}
    (alone,) = Workers(Instance("segt-workers")).each
    assert alone.cache_limit is None
    limited = Workers(Instance("segt-workers"), 2, cache_limit=9)
    assert {one.cache_limit for one in limited.each} == {4}


def test_all_are_told_and_one_that_is_silent_is_replaced_after_the_others(engines):
    first, second, third = engines.each
    first.silent = True
    engines.teach_with(lambda one: third.told.append(f"taught {one.worker.number}"))
    engines.call_engine(lambda engine: engine.note("policy"))
    assert (first.told, second.told) == ([], ["policy"])
    assert third.told == ["policy", "taught 0"]
    assert engines.restarts == 1


def test_one_that_refuses_keeps_the_others_from_nothing(engines):
    first, second, third = engines.each
    first.refuses, second.silent = RefusedError("no"), True
    with pytest.raises(RefusedError):
        engines.call_engine(lambda engine: engine.note("policy"))
    assert third.told == ["policy"]
    assert second.restarts == 1
    first.refuses = UnreachableError("it is being launched")
    with pytest.raises(UnreachableError):
        engines.call_engine(lambda engine: engine.note("policy"))


def test_a_log_level_is_for_those_that_run_and_those_that_start(engines):
    for one in engines.each:
        one.silent = True
    engines.set_log_level("debug")
    assert {one.log_level for one in engines.each} == {"debug"}


def test_the_status_is_the_worst_the_oldest_and_the_sum(engines):
    first, second, third = engines.each
    second.row |= {"state": "cut off", "heartbeat_age_ms": 40.0, "pace": 5000}
    third.row |= {"pace": 4000, "flow_map": None}
    found = engines.status()
    assert found["state"] == "cut off"
    assert (found["pid"], found["heartbeat_age_ms"], found["pace"]) == (7, 40.0, 4000)
    assert (found["sessions"], found["ring_drops"]) == (6, 3)
    assert found["flow_map"] == {"entries": 6, "capacity": 20}
    assert found["workers"] == [one.status() for one in (first, second, third)]
    third.row |= {"state": "down", "heartbeat_age_ms": None}
    assert engines.status()["state"] == "down"
    assert engines.status()["heartbeat_age_ms"] is None


def test_of_one_alone_the_status_is_its_own(engines, monkeypatch):
    alone = Workers(Instance("segt-workers"))
    found = alone.status()
    assert {name: found[name] for name in ROW} == alone.each[0].status()


def test_figures_are_summed_but_for_those_that_are_none(engines):
    first, second, third = engines.each
    second.found |= {"share_gap_ns": 9, "heartbeat_ns": 50, "cache": 0}
    third.found = {}
    assert engines.stats() == {
        "frames": 10,
        "ring_drops": [2, 0, 4],
        "heartbeat_ns": 50,
        "share_gap_ns": 9,
        "cache": 0,
    }
    first.found = second.found = {}
    assert engines.stats() == {}


def test_what_is_counted_and_listed_is_merged(engines):
    found = engines.counters(7)
    assert found["to_engine"] == Counter(21, 30, 3)
    assert found["of2"] == Counter(1, 1, 0)
    assert engines.session_count(7) == 12
    assert engines.sessions(5) == [0, 0, 0, 1, 1]
    assert engines.sessions(5, 7) == [0, 1, 2]
    assert engines.sessions(50) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert engines.flow_map(iter([1, 2])) == {"entries": 6, "capacity": 15}
    for one in engines.each:
        one.up = False
    assert engines.flow_map([1]) is None


def test_names_that_several_know_are_told_once(engines):
    found = [(one.asked, one.used) for one in engines.names(10, 7)]
    assert found == [("db", True), ("of0", False), ("of1", True), ("of2", False)]
    assert len(engines.names(2, 7)) == 2
    assert engines.name_counts([7, 1]) == {"learnt": 24}
    known = engines.names_of([(7, packets.world_ip4)])
    assert [one.asked for one in known] == ["of0", "of1", "of2"]


def test_frames_reach_all_only_if_they_reach_each(engines):
    assert engines.carries()
    assert engines.on_device()
    engines.each[1].up = False
    assert not engines.carries()
    assert not engines.on_device()
    assert engines.namespace() == 9


@pytest.mark.parametrize(("former", "ends"), [(3, False), (1, True), (4, True)])
def test_engines_that_shared_with_another_number_end_before_any_starts(
    engines, monkeypatch, tmp_path, former, ends
):
    ended: list[str] = []
    (tmp_path / "engine.sock").touch()
    (tmp_path / "engine-3.sock").touch()
    monkeypatch.setattr(
        module,
        "EngineClient",
        lambda path: SimpleNamespace(
            path=path, hello=lambda: {"workers": former}, close=lambda: None
        ),
    )
    monkeypatch.setattr(
        module, "end_engine", lambda client: ended.append(client.path.name)
    )
    engines.start()
    assert ended == (["engine-3.sock", "engine.sock"] if ends else [])
    assert all(one.told == ["start"] for one in engines.each)


def test_a_socket_that_nobody_answers_on_keeps_nothing_from_starting(engines, tmp_path):
    (tmp_path / "engine.sock").touch()
    engines.start()
    assert all(one.told == ["start"] for one in engines.each)

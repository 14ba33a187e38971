"""The engines that share an instance's packets: told all, read as one.

In: the instance, how many. Out: calls to each engine; what each counts, in sum. Each has its own process, rings
and Supervisor, so one that hangs or dies is replaced alone, and costs its share of the packets alone
(bpf/segctl_worker.h says which packets that is).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from pyctl import abi
from pyctl.engine.client import EngineClient
from pyctl.engine.records import LearntName, Session
from pyctl.engine.supervisor import Supervisor, end_engine
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.worker import Worker
from pyctl.model.workload import Counter

_log = structlog.get_logger()
MOST_WORKERS = abi.constant("SEG_WORKERS_MAX")
_STATES = ("running", "cut off", "down")
"""From best to worst."""
_OLDEST, _WORST = {"heartbeat_ns", "has_rings", "has_maps", "cache"}, {"share_gap_ns"}
"""Fields of struct sg_engine_stats that are no sums: the least counts, or the most."""


class Workers:
    """The engines of one instance. What is told, is told to all; what is read, is merged."""

    def __init__(
        self,
        instance: Instance,
        count: int = 1,
        *,
        flow_cache: bool = True,
        cache_limit: int | None = None,
    ) -> None:
        self._instance = instance
        self.each = tuple(
            Supervisor(
                instance,
                flow_cache=flow_cache,
                cache_limit=_part(cache_limit, count),
                worker=Worker(number, count),
            )
            for number in range(count)
        )

    def teach_with(self, teach: Callable[[Supervisor], None]) -> None:
        """Call `teach` with each new engine's supervisor before that engine reads its first frame."""
        for one in self.each:
            one.on_new_engine = teach

    def start(self) -> None:
        """Find the engines that an earlier agent left, or start them. If they shared the packets with another
        number of engines, all are started anew, without the former ones' flows. Idempotent.
        """
        self._end_former()
        for one in self.each:
            one.start()

    def _end_former(self) -> None:
        """End the engines of another number before any starts: two would judge one frame."""
        for path in sorted(self._instance.run_dir.glob("engine*.sock")):
            client = EngineClient(path)
            with contextlib.suppress(SegctlError), contextlib.closing(client):
                former = int(client.hello()["workers"])
                if former != len(self.each):
                    _log.warning(
                        "ending an engine: another number of them shares the packets, "
                        "and open flows begin anew",
                        former=former,
                        now=len(self.each),
                    )
                    end_engine(client)

    def set_log_level(self, level: str) -> None:
        """Set the level for engines that start, and for those that run."""
        self.log_from(level)
        self.call_engine(lambda engine: engine.log_level(level))

    def log_from(self, level: str) -> None:
        """Set the level for engines that start."""
        for one in self.each:
            one.log_level = level

    def call_engine(self, what: Callable[[EngineClient], object]) -> None:
        """Call each engine. Those that do not answer are replaced, after the others were told; a new one is
        taught the current state, which includes what was to be told. Raises SegctlError, if one refuses,
        after all were told.
        """
        refused: SegctlError | None = None
        silent = []
        for one in self.each:
            try:
                if not one.tell(what):
                    silent.append(one)
            except SegctlError as error:
                refused = refused or error
        for one in silent:
            one.replace(one.pid)
        if refused is not None:
            raise refused

    def namespace(self) -> int | None:
        """Return Supervisor.namespace() of the first that knows it."""
        for one in self.each:
            found = one.namespace()
            if found is not None:
                return found
        return None

    def on_device(self) -> bool:
        """Return whether all rings are on the device with the pair's name, as far as there are any."""
        return all(one.on_device() for one in self.each)

    def carries(self) -> bool:
        """Return whether frames can reach every engine, and come back."""
        return all(one.carries() for one in self.each)

    def reopen_rings(self) -> None:
        """Open all rings on a device that replaced the former one."""
        for one in self.each:
            one.reopen_rings()

    @property
    def restarts(self) -> int:
        """Return how many engines were replaced."""
        return sum(one.restarts for one in self.each)

    def status(self) -> dict[str, Any]:
        """Return the fields of the API's EngineStatus: of all together, and of each."""
        rows = [one.status() for one in self.each]
        paces = [row["pace"] for row in rows if row["pace"] is not None]
        ages = [row["heartbeat_age_ms"] for row in rows]
        maps = [row["flow_map"] for row in rows if row["flow_map"]]
        return {
            "state": max((row["state"] for row in rows), key=_STATES.index),
            "pid": rows[0]["pid"],
            "heartbeat_age_ms": None if None in ages else max(ages),
            "pace": min(paces, default=None),
            "flow_map": _sum(maps) if maps else None,
            "workers": rows,
            **{
                name: sum(row[name] for row in rows)
                for name in ("restarts", "sessions", "ring_drops")
            },
        }

    def stats(self) -> Mapping[str, Any]:
        """Return the fields of struct sg_engine_stats of all that answer; empty while none does."""
        rows = [found for one in self.each if (found := one.stats())]
        return {name: _merged(name, rows) for name in rows[0]} if rows else {}

    def counters(self, port_id: int) -> Mapping[str, Counter]:
        """Return the engines' counts for a port; empty while none answers."""
        found: dict[str, Counter] = {}
        for one in self.each:
            for name, more in one.counters(port_id).items():
                had = found.get(name, Counter(0, 0, 0))
                found[name] = Counter(
                    had.packets + more.packets,
                    had.bytes + more.bytes,
                    had.passed + more.passed,
                )
        return found

    def flow_map(self, port_ids: Iterable[int]) -> Mapping[str, int] | None:
        """Return the API's FlowMap for these ports; None while no engine answers."""
        ports = list(port_ids)
        rows = [found for one in self.each if (found := one.flow_map(ports))]
        return _sum(rows) if rows else None

    def session_count(self, port_id: int) -> int:
        """Return the number of live sessions of a port, as far as engines answer."""
        return sum(one.session_count(port_id) for one in self.each)

    def sessions(self, limit: int, port_id: int = 0) -> list[Session]:
        """Return live sessions of a port, or of all, as far as engines answer. Both ends of a flow are one engine's."""
        found: list[Session] = []
        for one in self.each:
            if len(found) < limit:
                found += one.sessions(limit - len(found), port_id)
        return found

    def names(self, limit: int, port_id: int = 0) -> list[LearntName]:
        """Return the names that a port has learnt, or all have, as far as engines answer. What several know alike
        is told once, in use where it is so for one of them.
        """
        found: dict[LearntName, bool] = {}
        for one in self.each:
            for name in one.names(limit, port_id):
                known = replace(name, used=False)
                found[known] = found.get(known, False) or name.used
        return [replace(name, used=used) for name, used in found.items()][:limit]

    def names_of(self, peers: Collection[tuple[int, str]]) -> list[LearntName]:
        """Return the names that ports have learnt of addresses, each pair a port's id and an address."""
        return [name for one in self.each for name in one.names_of(peers)]

    def name_counts(self, port_ids: Iterable[int]) -> Mapping[str, int]:
        """Return what these ports' DNS answers came to; port 0: all ports'. Empty while no engine answers."""
        return _sum(one.name_counts(port) for port in port_ids for one in self.each)

    def stop(self) -> None:
        """End the engines and close the rings. Idempotent."""
        for one in self.each:
            one.stop()

    def release(self) -> None:
        """Close clients and rings without ending the engines."""
        for one in self.each:
            one.release()


def _part(limit: int | None, count: int) -> int | None:
    """Return an engine's share of the verdicts in the kernel; None: it is alone, and has all."""
    if limit is None and count == 1:
        return None
    return (2 * abi.constant("SEG_FLOWS_MAX") if limit is None else limit) // count


def _sum(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            found[name] = found.get(name, 0) + value
    return found


def _merged(name: str, rows: list[Mapping[str, Any]]) -> Any:
    values = [row[name] for row in rows if name in row]
    if name in _OLDEST:
        return min(values)
    if name in _WORST:
        return max(values)
    if isinstance(values[0], list):
        return [sum(column) for column in zip(*values, strict=True)]
    return sum(values)

"""Keeps one engine alive, and holds the packet rings that outlive it.

In: the instance. Out: calls to the living engine. The rings are opened here and lent to the engine,
so frames wait in them while a dead engine is replaced; a restarted agent asks the living engine for
them back. A new engine is taught all policies before it gets the rings: it never judges a frame
without knowing the rules.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import structlog

from pyctl import abi
from pyctl.engine import records
from pyctl.engine.client import EngineClient, EventBatch, HitBatch
from pyctl.engine.launch import start_engine
from pyctl.engine.records import LearntName, Session
from pyctl.engine.rings import RingSet, open_rings
from pyctl.errors import NotFoundError, SegctlError, UnreachableError, UsageError
from pyctl.model.instance import Instance
from pyctl.model.worker import ALONE, Worker
from pyctl.model.workload import Counter
from pyctl.platform import netns
from pyctl.platform.process import Running

_log = structlog.get_logger()
T = TypeVar("T")

END_SECONDS = 5.0
NO_LIMIT = 2**32 - 1
YOUNG_S = 5.0
YOUNG_DEATHS = 3
"""So many engines in a row that died younger than YOUNG_S may have died of the flows that they took over: the
next one starts without them."""
HUNG_AFTER_S = 2.0
"""An engine with an older heartbeat is replaced; it beats twenty times a second."""


class Supervisor:
    """The keeper of one engine. It calls `on_new_engine` with itself before a new engine reads its first frame."""

    def __init__(
        self,
        instance: Instance,
        *,
        flow_cache: bool = True,
        cache_limit: int | None = None,
        worker: Worker = ALONE,
    ) -> None:
        self._instance = instance
        self.worker = worker
        self._flow_cache = flow_cache
        self._cache_limit = NO_LIMIT if cache_limit is None else cache_limit
        self._launched = float("-inf")
        self._died_young = 0
        self._client = EngineClient(instance.engine_file(worker, "sock"))
        self._readers = EngineClient(instance.engine_file(worker, "sock"))
        """For whoever only reads: who changes or replaces the engine never waits for their turns."""
        self._rings: RingSet | None = None
        self._changing = threading.RLock()
        self._launching = False
        self._process: Running | None = None
        self.restarts = 0
        self.log_level = "info"
        self.on_new_engine: Callable[[Supervisor], None] = lambda _: None

    @property
    def pid(self) -> int | None:
        """Return the pid of the engine in charge; None between two."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Find the engine that an earlier agent left, or start one. Idempotent."""
        with self._changing:
            if self.pid is None and not self._adopt():
                self._launch()

    def _adopt(self) -> bool:
        pid = self._client.peer()
        if pid is None:
            return False
        try:
            found = Running(pid)
        except NotFoundError:
            # It ended just now.
            return False
        try:
            hello = self._client.hello()
        except UnreachableError:
            _log.warning("replacing an engine that does not answer", pid=pid)
            self._client.close()
            _see_it_end(found, kill=True)
            return False
        same = (hello["abi"], hello["wire"]) == (abi.HASH, records.WIRE)
        if not same or hello["workers"] != self.worker.of:
            _log.warning("replacing an engine of another version", pid=pid)
            self._client.stop()
            self._client.close()
            _see_it_end(found, kill=False)
            return False
        self._rings = self._client.take_rings()
        self._process = found
        if self._rings is None:
            self._rings = open_rings(self._instance.netns, worker=self.worker)
            self.on_new_engine(self)
            self._client.give_rings(self._rings)
        self._client.cache(self._flow_cache)
        self._limit()
        self._client.log_level(self.log_level)
        _log.info("found a running engine", pid=pid)
        return True

    def _launch(self) -> None:
        if self._rings is None:
            self._rings = open_rings(self._instance.netns, worker=self.worker)
        self._client.close()
        self._client = start_engine(
            self._instance,
            log_level=self.log_level,
            flow_cache=self._flow_cache,
            worker=self.worker,
        )
        self._process = Running(int(self._client.hello()["pid"]))
        self._launching = True
        young = time.monotonic() - self._launched < YOUNG_S
        self._died_young = self._died_young + 1 if young else 0
        self._launched = time.monotonic()
        try:
            # The flows of a dead engine go on with what it had counted, and what the kernel has
            # since. One that cannot take them over starts without.
            with contextlib.suppress(SegctlError):
                keep = self._died_young < YOUNG_DEATHS
                self._client.adopt(self._rings, keep=keep)
            # Off empties the flow maps: no session stands behind what is there still, and nobody
            # else would ever take it out.
            self._client.cache(enabled=False)
            self._client.cache(enabled=self._flow_cache)
            self._limit()
            self.on_new_engine(self)
            self._client.give_rings(self._rings)
        except BaseException:
            # One that answers counts as healthy, and would be left alone without rings.
            self._end(kill=True)
            raise
        finally:
            self._launching = False
        _log.info("engine started", pid=self.pid)

    def _limit(self) -> None:
        # A found engine of an earlier version has no such request, and goes on without a limit.
        with contextlib.suppress(UsageError):
            self._client.cache_limit(self._cache_limit)

    def namespace(self) -> int | None:
        """Open the namespace that the rings are in, even if it has lost its name; the caller closes the
        descriptor. None if there are no rings yet.
        """
        if self._rings is not None:
            return netns.of_socket(self._rings.fds[0])
        try:
            rings = self._client.take_rings() if self._client.peer() else None
        except SegctlError:
            return None
        if rings is None:
            return None
        with rings:
            return netns.of_socket(rings.fds[0])

    def on_device(self) -> bool:
        """Return whether the rings are on the device with the pair's name; True if there are none yet."""
        return self._rings is None or self._rings.on_device()

    def carries(self) -> bool:
        """Return whether frames can reach the engine, and come back."""
        return self._rings is not None and self._rings.carries()

    def reopen_rings(self) -> None:
        """Open the rings on a device that replaced the former one; the engine and its flows go on."""
        with self._changing:
            if self._rings is None:
                return
            former, self._rings = (
                self._rings,
                self._rings.reopened(self._instance.netns, self.worker),
            )
            former.close()
            self.call_engine(self._give)

    def _give(self, engine: EngineClient) -> None:
        if self._rings is not None:
            engine.give_rings(self._rings)

    def call_engine(self, what: Callable[[EngineClient], object]) -> None:
        """Call the engine. If it does not answer, replace it; the new one is taught the current state, which
        includes what was to be told. Raises SegctlError.
        """
        if not self.tell(what):
            self.replace(self.pid)

    def tell(self, what: Callable[[EngineClient], object]) -> bool:
        """Call the engine; return whether it answered. UnreachableError if it is just being launched."""
        try:
            what(self._client)
        except UnreachableError as error:
            if self._launching:
                raise
            _log.warning("engine does not answer", error=str(error), pid=self.pid)
            return False
        return True

    def replace(self, former: int | None) -> None:
        """End the engine with pid `former`, if it lives, and start another; do nothing if it was replaced
        already. Frames wait in the rings meanwhile.
        """
        with self._changing:
            if former != self.pid:
                return
            self._end(kill=True)
            self.restarts += 1
            self._launch()

    def healthy(self) -> bool:
        """Return whether the engine's process exists and its loop beats."""
        process = self._process
        alive = process is not None and not process.ended()
        return alive and self.heartbeat_age() < HUNG_AFTER_S

    def heartbeat_age(self) -> float:
        """Return the seconds since the packet loop's last round; infinite if the engine does not answer."""
        try:
            beat = int(self._client.hello()["stats"]["heartbeat_ns"])
        except SegctlError:
            return float("inf")
        return (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - beat) / 1e9

    def status(self) -> dict[str, Any]:
        """Return the fields of the API's WorkerStatus."""
        stats, state = self.stats(), "down"
        if stats:
            state = "running" if self.carries() else "cut off"
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        beat = stats.get("heartbeat_ns")
        return {
            "state": state,
            "pid": self.pid,
            "heartbeat_age_ms": round((now - beat) / 1e6, 1) if beat else None,
            "restarts": self.restarts,
            "sessions": stats.get("sessions", 0),
            "ring_drops": sum(stats.get("ring_drops", (0,))),
            "pace": 10**9 // gap if (gap := stats.get("share_gap_ns", 0)) else None,
            "flow_map": flow_map(stats) if stats else None,
        }

    def stats(self) -> Mapping[str, Any]:
        """Return the fields of struct sg_engine_stats; empty while no engine answers."""
        try:
            found: Mapping[str, Any] = self._readers.hello()["stats"]
        except SegctlError:
            return {}
        return found

    def _read(self, ask: Callable[[EngineClient], T], otherwise: T) -> T:
        try:
            return ask(self._readers)
        except UnreachableError:
            return otherwise

    def counters(self, port_id: int) -> Mapping[str, Counter]:
        """Return the engine's counts for a port; empty while none answers."""
        return self._read(lambda engine: engine.counters(port_id), {})

    def cache_stats(self, port_id: int) -> Mapping[str, int]:
        """Return what became of a port's verdicts in the kernel; empty while no engine answers."""
        return self._read(lambda engine: engine.cache_stats(port_id), {})

    def flow_map(self, port_ids: Iterable[int]) -> Mapping[str, int] | None:
        """Return the API's FlowMap for these ports; None while no engine answers."""
        stats = self.stats()
        if not stats:
            return None
        rows = [self.cache_stats(port_id) for port_id in port_ids]
        return {
            "capacity": stats.get("flows_capacity", 0),
            **{
                name: sum(row.get(name, 0) for row in rows)
                for name in (
                    "entries",
                    "evicted",
                    "refused",
                    "offload_misses",
                    "offload_missed_bytes",
                )
            },
        }

    def session_count(self, port_id: int) -> int:
        """Return the number of live sessions of a port; 0 while no engine answers."""
        return self._read(lambda engine: engine.session_count(port_id), 0)

    def sessions(self, limit: int, port_id: int = 0) -> list[Session]:
        """Return live sessions of a port, or of all; empty while no engine answers."""
        return self._read(lambda engine: engine.sessions(port_id, limit), [])

    def events(
        self, epoch: int, *, ack: int, after: int, limit: int
    ) -> EventBatch | None:
        """Return events as EngineClient.events; None while no engine answers."""
        return self._read(
            lambda engine: engine.events(epoch, ack=ack, after=after, limit=limit), None
        )

    def hits(self, epoch: int, *, after: int) -> HitBatch | None:
        """Return hits as EngineClient.hits; None while no engine answers."""
        return self._read(lambda engine: engine.hits(epoch, after=after), None)

    def names(self, limit: int, port_id: int = 0) -> list[LearntName]:
        """Return the names that a port has learnt, or all have; empty while no engine answers."""
        return self._read(lambda engine: engine.names(port_id, limit), [])

    def names_of(self, peers: Collection[tuple[int, str]]) -> list[LearntName]:
        """Return names as EngineClient.names_of; empty while no engine answers."""
        return self._read(lambda engine: engine.names_of(peers), [])

    def name_counts(self, port_id: int) -> Mapping[str, int]:
        """Return what a port's DNS answers came to; empty while no engine answers."""
        return self._read(lambda engine: engine.name_counts(port_id), {})

    def stop(self) -> None:
        """End the engine and close the rings. Idempotent."""
        with self._changing:
            try:
                self._client.stop()
            except SegctlError as error:
                _log.debug("engine was gone", error=str(error))
            self._end(kill=False)
            self.release()

    def release(self) -> None:
        """Close clients and rings without ending the engine, which has descriptors of its own."""
        self._client.close()
        self._readers.close()
        if self._rings is not None:
            self._rings.close()
            self._rings = None

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            _see_it_end(process, kill=kill)
        # Its end breaks off whoever waits for an answer, so that nobody holds a client.
        self._client.close()
        self._readers.close()


def flow_map(stats: Mapping[str, Any]) -> dict[str, int]:
    """Return the API's FlowMap for all ports together."""
    names = (
        "entries",
        "capacity",
        "evicted",
        "refused",
        "offload_misses",
        "offload_missed_bytes",
    )
    # A found engine of an earlier version has fewer counters.
    return {name: stats.get(f"flows_{name}", 0) for name in names}


def end_engine(client: EngineClient) -> None:
    """End the engine behind a client and wait until it has ended; kill it if that takes too long."""
    found = Running(int(client.hello()["pid"]))
    client.stop()
    client.close()
    _see_it_end(found, kill=False)


def _see_it_end(process: Running, *, kill: bool) -> None:
    """Wait for the process to end; kill it if that takes too long."""
    if kill or not process.ended(END_SECONDS):
        process.kill()
        process.ended(END_SECONDS)
    process.close()

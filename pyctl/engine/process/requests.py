"""What the engine can be asked: one function for each operation.

In: a request's body, blob and descriptors. Out: an answer's body, blob and descriptors.
I/O: through the engine. A field of the wrong type or range is an error answer, never the end of
the engine.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import structlog

from pyctl.abi import HASH
from pyctl.engine import records
from pyctl.engine._binding import sizeof
from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.engine.protocol import MAX_BLOB
from pyctl.errors import SegctlError, UsageError
from pyctl.model.instance import Instance

MAX_EVENTS = 10000
"""The most events of one answer; a row has about 100 bytes."""
MAX_HITS = 10000
LOGGED_EVENTS = 1000
MAX_LISTED = MAX_BLOB // sizeof("sg_session_info") // 2
MAX_NAMES = MAX_BLOB // sizeof("sg_name_record") // 2


@dataclass(frozen=True)
class Request:
    """A message with the descriptors that belong to it; the operation owns them."""

    body: dict[str, Any]
    blob: bytes = b""
    fds: tuple[int, ...] = ()

    def integer(
        self, name: str, lowest: int, highest: int, default: int | None = None
    ) -> int:
        """Return a field's value; UsageError if it is absent, no integer, or out of range."""
        value = self.body.get(name, default)
        if type(value) is not int or not lowest <= value <= highest:
            raise UsageError(f"{name!r} must be a number from {lowest} to {highest}")
        return value


@dataclass(frozen=True)
class Answer:
    """The reply to a request; the descriptors stay the engine's."""

    body: dict[str, Any] = field(default_factory=dict)
    blob: bytes = b""
    fds: tuple[int, ...] = ()


class Requests:
    """The operations on one engine."""

    def __init__(self, engine: Engine, instance: Instance) -> None:
        self._engine = engine
        self._pins = instance.pin_root / HASH
        self._log = structlog.get_logger()
        self._logged = (0, 0)
        """Epoch and number of the last logged event."""
        self._lost = 0
        self.stopping = False
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "hello": self._hello,
            "rings_set": self._rings_set,
            "rings_get": self._rings_get,
            "adopt": self._adopt,
            "maps_open": self._maps_open,
            "cache": self._cache,
            "cache_limit": self._cache_limit,
            "policy_set": self._policy_set,
            "node_set": self._node_set,
            "members_set": self._members_set,
            "port_delete": self._port_delete,
            "listeners_set": self._listeners_set,
            "sync": self._sync,
            "counters": self._counters,
            "sessions": self._sessions,
            "events": self._take_events,
            "hits": self._hits,
            "names": self._names,
            "names_of": self._names_of,
            "name_counts": self._name_counts,
            "log_level": self._log_level,
            "stop": self._stop,
        }

    def answer(self, request: Request) -> Answer:
        """Run the requested operation. Raises SegctlError; descriptors that nobody takes are closed."""
        operation = self._operations.get(str(request.body.get("op")))
        if operation == self._adopt:
            try:
                return operation(request)
            finally:
                _close(request.fds)
        if operation != self._rings_set:
            _close(request.fds)
        if operation is None:
            raise UsageError(
                f"the engine has no operation {request.body.get('op')!r}",
                advice="agent and engine may be of different versions",
            )
        return operation(request)

    def log_events(self) -> None:
        """Log the events since the last call, at level debug; called ten times a second."""
        if not self._log.is_enabled_for(10):
            return
        epoch, number = self._logged
        blob, page = self._engine.events(LOGGED_EVENTS, epoch=epoch, after=number)
        self._lost += page["lost"]
        found = records.events(blob)
        self._logged = page["epoch"], page["first"] + len(found) - 1
        for event in found:
            self._log.debug("event", **vars(event))

    def open_maps(self) -> bool:
        """Open the instance's pinned maps; return whether there are any."""
        found = self._engine.open_maps(self._pins)
        self._log.info("maps", directory=str(self._pins), found=found)
        return found

    def _hello(self, _: Request) -> Answer:
        return Answer(
            {
                "version": _version(),
                "abi": HASH,
                "wire": records.WIRE,
                "pid": os.getpid(),
                "workers": self._engine.worker.of,
                "stats": self._engine.stats(),
            }
        )

    def _rings_set(self, request: Request) -> Answer:
        self._engine.set_rings(request.fds)
        self._log.info("rings taken", fds=request.fds)
        if not self._engine.stats()["has_maps"]:
            self.open_maps()
        return Answer()

    def _rings_get(self, _: Request) -> Answer:
        return Answer(fds=self._engine.rings)

    def _adopt(self, request: Request) -> Answer:
        if len(request.fds) != 1:
            raise UsageError("'adopt' takes one descriptor")
        keep = request.body.get("keep") is True
        adopted = self._engine.adopt(request.fds[0], keep=keep)
        self._log.info("flows taken over", count=adopted)
        return Answer({"adopted": adopted})

    def _maps_open(self, _: Request) -> Answer:
        return Answer({"found": self.open_maps()})

    def _cache(self, request: Request) -> Answer:
        enabled = request.body.get("enabled")
        if not isinstance(enabled, bool):
            raise UsageError("'enabled' must be true or false")
        self._engine.set_cache(enabled)
        self._log.info("verdict cache", enabled=enabled)
        return Answer()

    def _cache_limit(self, request: Request) -> Answer:
        self._engine.limit_cache(request.integer("entries", 0, 2**32 - 1))
        return Answer()

    def _policy_set(self, request: Request) -> Answer:
        port_id = self._engine.set_policy(request.blob)
        self._log.info("policy set", port_id=port_id, bytes=len(request.blob))
        return Answer()

    def _node_set(self, request: Request) -> Answer:
        self._engine.set_node(request.blob)
        self._log.info("node policy set", bytes=len(request.blob))
        return Answer()

    def _members_set(self, request: Request) -> Answer:
        self._engine.set_members(request.blob)
        self._log.info("members changed", bytes=len(request.blob))
        return Answer()

    def _port_delete(self, request: Request) -> Answer:
        port_id = request.integer("port_id", 1, 65535)
        self._engine.delete_port(port_id)
        self._log.info("port deleted", port_id=port_id)
        return Answer()

    def _listeners_set(self, request: Request) -> Answer:
        ports = request.body.get("ports")
        if not isinstance(ports, list) or any(type(port) is not int for port in ports):
            raise UsageError("'ports' must be a list of numbers")
        self._engine.set_listeners(request.integer("port_id", 1, 65535), ports)
        return Answer()

    def _sync(self, _: Request) -> Answer:
        self._engine.sync()
        return Answer()

    def _counters(self, request: Request) -> Answer:
        port_id = request.integer("port_id", 0, 65535)
        found = self._engine.counters(port_id)
        cache = self._engine.cache_stats(port_id)
        return Answer({"counters": found, "cache": cache})

    def _sessions(self, request: Request) -> Answer:
        blob, cursor = self._engine.sessions(
            request.integer("port_id", 0, 65535, 0),
            request.integer("limit", 1, MAX_LISTED),
            request.integer("cursor", 0, 2**32 - 1, 0),
        )
        return Answer({"cursor": cursor}, blob)

    def _take_events(self, request: Request) -> Answer:
        """Return the events after `after` and forget those up to `ack`. Events are numbered from 1 and
        returned again until acknowledged: an agent acknowledges what it has on disk. Another epoch is another
        engine, which numbers anew; one that took over a dead one's flows continues its events too.
        """
        blob, page = self._engine.events(
            request.integer("max", 1, MAX_EVENTS),
            epoch=request.integer("epoch", 0, 2**64 - 1, 0),
            ack=request.integer("ack", 0, 2**63, 0),
            after=request.integer("after", 0, 2**63, 0),
        )
        lost, self._lost = self._lost, 0
        return Answer({**page, "lost": page["lost"] + lost}, blob)

    def _hits(self, request: Request) -> Answer:
        """Return the whole counts of the rules that changed after a serial number."""
        blob, page = self._engine.hits(
            request.integer("max", 1, MAX_HITS),
            after=request.integer("after", 0, 2**63, 0),
            cursor=request.integer("cursor", 0, 2**32 - 1, 0),
        )
        return Answer({**page}, blob)

    def _names(self, request: Request) -> Answer:
        blob, cursor = self._engine.names(
            request.integer("port_id", 0, 65535, 0),
            request.integer("limit", 1, MAX_NAMES),
            request.integer("cursor", 0, 2**32 - 1, 0),
        )
        return Answer({"cursor": cursor}, blob)

    def _names_of(self, request: Request) -> Answer:
        return Answer(blob=self._engine.names_of(request.blob, MAX_NAMES))

    def _name_counts(self, request: Request) -> Answer:
        port_id = request.integer("port_id", 0, 65535)
        return Answer({"counts": self._engine.name_counts(port_id)})

    def _log_level(self, request: Request) -> Answer:
        log.configure(str(request.body.get("level")))
        self._log.info("log level", level_now=request.body["level"])
        return Answer()

    def _stop(self, _: Request) -> Answer:
        self.stopping = True
        return Answer()


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


@functools.cache
def _version() -> str:
    try:
        return metadata.version("segctl")
    except metadata.PackageNotFoundError:
        # A source tree that was never installed.
        return "unknown"


def as_segctl_error(error: Exception) -> SegctlError:
    """Return the error that tells the other side of an unforeseen failure of an operation."""
    return SegctlError(
        f"the engine failed at this request: {type(error).__name__}: {error}",
        state="packets are judged as before",
        advice="the engine's log has the details",
    )

"""The agent's side of the engine's control socket: blocking calls with a deadline.

In: policies, ring sets. Out: counters, sessions, events. I/O: a unix socket.
Safe to use from several threads; the connection is opened at the first call and again after it
broke. Every method raises UnreachableError where the engine does not answer in time, and the
engine's own error (SegctlError and subclasses) where it refuses.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyctl.engine import node_records, records
from pyctl.engine._binding import sizeof
from pyctl.engine.node_records import Policies
from pyctl.engine.protocol import MAX_FDS, Decoder, Message, encode, raise_error
from pyctl.engine.records import EngineEvent, Hit, LearntName, Session
from pyctl.engine.rings import RingSet, ring_set
from pyctl.errors import SegctlError, UnreachableError
from pyctl.model.policy import Members, NodePolicy, PortPolicy
from pyctl.model.sensors.sensor import NO_DATABASES, Databases
from pyctl.model.workload import Counter

_READ_BYTES = 1 << 18
_PAGE = 4096
_UCRED = struct.Struct("3i")


@dataclass(frozen=True)
class EventBatch:
    """A batch of events in their order, numbered from `first` on."""

    blob: bytes
    """An array of struct sg_event."""
    epoch: int
    """Identifies the engine process: another one numbers from 1."""
    first: int
    lost: int
    """How many events were dropped since the last call because the queue was full."""

    def __len__(self) -> int:
        return len(self.blob) // records.EVENT_BYTES

    @property
    def events(self) -> list[EngineEvent]:
        """Return the events, each as a value."""
        return records.events(self.blob)


@dataclass(frozen=True)
class HitBatch:
    """A batch of hit counts that have changed; each is the whole count."""

    hits: list[Hit]
    epoch: int
    """Identifies the counting: one with another epoch began at zero."""
    serial: int
    """The serial number of their last change."""


class EngineClient:
    """The client of the engine behind `path`; `timeout` is in seconds for each exchange."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._path = path
        self._timeout = timeout
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        with self._lock:
            self._disconnect()

    def peer(self) -> int | None:
        """Return the pid that listens on the engine's socket, even if it does not answer; None: nobody."""
        with self._lock:
            try:
                raw = self._connect().getsockopt(
                    socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size
                )
            except OSError:
                return None
        return int(_UCRED.unpack(raw)[0])

    def hello(self) -> dict[str, Any]:
        """Return {"version", "abi", "wire", "pid", "workers", "stats": {…}}; see struct sg_engine_stats. An
        engine of an earlier version has no "wire", and is alone.
        """
        body = {"wire": None, "workers": 1, **self._ask("hello")[0]}
        names = ("version", "abi", "wire", "pid", "workers", "stats")
        return {name: body[name] for name in names}

    def give_rings(self, rings: RingSet) -> None:
        """Let the engine read these rings; the caller keeps its own descriptors."""
        self._ask("rings_set", fds=rings.fds)

    def take_rings(self) -> RingSet | None:
        """Return descriptors of the rings that the engine reads (for an agent that was restarted)."""
        _, _, fds = self._ask("rings_get")
        return ring_set(fds) if fds else None

    def adopt(self, rings: RingSet, *, keep: bool) -> int:
        """Keep the flows where a successor finds them; call this before give_rings. `keep`: continue with
        those of a former engine; return how many there are.
        """
        told = self._ask("adopt", fds=(rings.state,), keep=keep)[0]
        return int(told["adopted"])

    def open_maps(self) -> bool:
        """Let the engine (re-)open the instance's pinned maps; return whether there are any."""
        return bool(self._ask("maps_open")[0]["found"])

    def cache(self, enabled: bool) -> None:
        """Switch the verdict cache; off removes every entry from the flow maps."""
        self._ask("cache", enabled=enabled)

    def cache_limit(self, entries: int) -> None:
        """Limit the number of verdicts in the kernel."""
        self._ask("cache_limit", entries=entries)

    def cache_stats(self, port_id: int) -> dict[str, int]:
        """Return the fields of struct sg_cache_stats for a port; port 0: of all since the start. Empty if the
        engine is of an earlier version.
        """
        found: dict[str, int] = self._ask("counters", port_id=port_id)[0].get(
            "cache", {}
        )
        return found

    def policy_set(self, generation: int, policy: PortPolicy) -> None:
        """Set the policy of its port; it judges from the next batch on."""
        self._ask("policy_set", blob=records.pack_policy(policy, generation))

    def node_set(
        self,
        node: NodePolicy,
        members: Members,
        policies: Policies,
        databases: Databases = NO_DATABASES,
    ) -> None:
        """Set the node's policy, whole, with these ports' policies and generations, and what finds its sensors' patterns."""
        blob = node_records.pack_node(node, members, policies, databases)
        self._ask("node_set", blob=blob)

    def members_set(
        self, node: NodePolicy, members: Members, policies: Policies
    ) -> None:
        """Set the groups of those who changed group, with the policies and generations that change too."""
        self._ask(
            "members_set", blob=node_records.pack_members(node, members, policies)
        )

    def port_delete(self, port_id: int) -> None:
        """Delete the port: policy, sessions, flow-map entries."""
        self._ask("port_delete", port_id=port_id)

    def listeners_set(self, port_id: int, ports: Sequence[int]) -> None:
        """Set the TCP ports on which the workload listens: they tell which side opened a connection that is
        older than the engine. Without them it guesses.
        """
        self._ask("listeners_set", port_id=port_id, ports=list(ports))

    def sync(self) -> None:
        """Wait until every frame in the rings has been judged by the policies in force now, and sent. A
        caller that published a generation must first wait for the BPF programs that read the former one
        (RCU), so that their frames are in the rings.
        """
        self._ask("sync")

    def counters(self, port_id: int) -> dict[str, Counter]:
        """Return the counters that are not zero, by reason name. Port 0: frames that belonged to no port."""
        found = self._ask("counters", port_id=port_id)[0]["counters"]
        return {name: Counter(*row) for name, row in found.items()}

    def sessions(self, port_id: int = 0, limit: int = 10000) -> list[Session]:
        """Return at most `limit` sessions of a port; port 0: of all."""
        found: list[Session] = []
        for blob in self._pages("sessions", "sg_session_info", port_id, limit):
            found += records.sessions(blob)
        return found

    def session_count(self, port_id: int) -> int:
        """Return how many sessions a port has."""
        pages = self._pages("sessions", "sg_session_info", port_id, sys.maxsize)
        return sum(map(len, pages)) // sizeof("sg_session_info")

    def names(self, port_id: int = 0, limit: int = 10000) -> list[LearntName]:
        """Return at most `limit` addresses that a port has learnt with a name; port 0: of all."""
        found: list[LearntName] = []
        for blob in self._pages("names", "sg_name_record", port_id, limit):
            found += records.names(blob)
        return found

    def names_of(self, peers: Collection[tuple[int, str]]) -> list[LearntName]:
        """Return the names that ports have learnt of addresses, each pair a port's id and an address."""
        return records.names(self._ask("names_of", records.pack_peers(peers))[1])

    def name_counts(self, port_id: int) -> dict[str, int]:
        """Return the fields of struct sg_name_counts for a port; port 0: of all since the start."""
        found: dict[str, int] = self._ask("name_counts", port_id=port_id)[0]["counts"]
        return found

    def _pages(self, op: str, struct: str, port_id: int, limit: int) -> Iterator[bytes]:
        """Yield arrays of the struct until the engine has told all, or `limit` of them."""
        cursor = 0
        while limit > 0:
            body, blob, _ = self._ask(
                op, port_id=port_id, limit=min(_PAGE, limit), cursor=cursor
            )
            yield blob
            limit -= len(blob) // sizeof(struct)
            cursor = body["cursor"]
            if not cursor:
                return

    def events(
        self, epoch: int = 0, *, ack: int = 0, after: int = 0, limit: int = 1000
    ) -> EventBatch:
        """Return the oldest events after number `after`; the engine forgets those up to `ack`. If `epoch` is
        not the engine's, numbers mean nothing and all events are returned.
        """
        body, blob, _ = self._ask(
            "events", max=limit, epoch=epoch, ack=ack, after=after
        )
        return EventBatch(
            blob, int(body["epoch"]), int(body["first"]), int(body["lost"])
        )

    def hits(self, epoch: int = 0, *, after: int = 0) -> HitBatch:
        """Return the hits that changed after serial number `after` of that epoch; all if another counting
        began.
        """
        found: list[Hit] = []
        serial: int | None = None
        cursor = 0
        while True:
            body, blob, _ = self._ask("hits", max=_PAGE, after=after, cursor=cursor)
            if body["epoch"] != epoch:
                # The numbers of another counting mean nothing.
                epoch, after, serial, cursor = int(body["epoch"]), 0, None, 0
                found.clear()
                continue
            found += records.hits(blob)
            # Changes during the read have serials after the first page's.
            serial = int(body["serial"]) if serial is None else serial
            cursor = body["cursor"]
            if not cursor:
                return HitBatch(found, epoch, serial)

    def log_level(self, level: str) -> None:
        """Set the log level: `debug`, `info`, `warning` or `error`."""
        self._ask("log_level", level=level)

    def stop(self) -> None:
        """End the engine cleanly; it answers before it ends."""
        self._ask("stop")

    def _ask(
        self, op: str, blob: bytes = b"", fds: tuple[int, ...] = (), **fields: Any
    ) -> tuple[dict[str, Any], bytes, tuple[int, ...]]:
        body = {"op": op, "fds": len(fds), **fields}
        data = encode(Message(body, blob))
        with self._lock:
            try:
                answer, received = self._exchange(data, fds)
            except (OSError, SegctlError) as error:
                raise UnreachableError(
                    f"asking the engine at {self._path} for {op!r}: {error}",
                    advice="is it running? Its log says why not",
                    errno=getattr(error, "errno", None),
                ) from error
        raise_error(answer.body)
        return answer.body, answer.blob, received

    def _exchange(
        self, data: bytes, fds: tuple[int, ...]
    ) -> tuple[Message, tuple[int, ...]]:
        connection = self._connect()
        # Not ours while a question is open: if a signal breaks it off, wherever, its late answer must not be
        # the next question's.
        self._socket = None
        try:
            answer = self._answer(connection, data, fds)
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        return answer

    @staticmethod
    def _answer(
        connection: socket.socket, data: bytes, fds: tuple[int, ...]
    ) -> tuple[Message, tuple[int, ...]]:
        sent = socket.send_fds(connection, [data], list(fds)) if fds else 0
        connection.sendall(data[sent:])
        decoder = Decoder()
        received: list[int] = []
        try:
            while True:
                piece, more, _, _ = socket.recv_fds(connection, _READ_BYTES, MAX_FDS)
                received += more
                if not piece:
                    raise ConnectionResetError("it closed the connection")  # noqa: TRY301 the same end as recv's
                if messages := decoder.feed(piece):
                    return messages[0], tuple(received)
        except BaseException:
            for fd in received:
                os.close(fd)
            raise

    def _connect(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(self._timeout)
            try:
                connection.connect(str(self._path))
            except BaseException:
                connection.close()
                raise
            self._socket = connection
        return self._socket

    def _disconnect(self) -> None:
        former, self._socket = self._socket, None
        if former is not None:
            with contextlib.suppress(OSError):
                former.close()

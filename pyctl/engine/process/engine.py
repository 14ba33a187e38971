"""The C engine as an object: owns its thread, its rings and its buffers.

In: descriptors, packed policies. Out: counters, packed events and sessions. I/O: through C.
One object for one packet thread; methods may be called from any Python thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pyctl.engine._binding import check, constant, ffi, lib, sizeof
from pyctl.engine.records import reason_name, view_policy
from pyctl.errors import SegctlError
from pyctl.model.worker import ALONE, Worker

MAX_SESSIONS = constant("SG_SESSIONS_MAX")
_PORT_IDS = constant("SEG_PORT_IDS")
_RING_FDS = constant("SG_FDS")
_ABSENT = {2, 20}
"""ENOENT, ENOTDIR: the pins are not there (yet)."""


class Engine:
    """A running packet thread. Use it as a context manager, or call close()."""

    def __init__(
        self,
        *,
        cache: bool = True,
        max_sessions: int = MAX_SESSIONS,
        worker: Worker = ALONE,
    ) -> None:
        self.worker = worker
        config = ffi.new(
            "struct sg_core_config *",
            {
                "max_sessions": max_sessions,
                "flow_cache": cache,
                "worker": worker.number,
                "workers": worker.of,
            },
        )
        self._engine = lib.sg_engine_new(config)
        if not self._engine:
            number = ffi.errno
            raise SegctlError(
                f"starting the packet thread: {os.strerror(number)}", errno=number
            )
        self._rings: tuple[int, ...] = ()

    def close(self) -> None:
        """End the thread after its batch. What waits in the rings stays there. Idempotent."""
        engine, self._engine = self._engine, None
        if engine:
            lib.sg_engine_free(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rings(self) -> tuple[int, ...]:
        """Return the descriptors in use, which the engine owns; empty before set_rings()."""
        return self._rings

    def set_rings(self, fds: Sequence[int]) -> None:
        """Read from these rings from now on; the engine closes them, even if it refuses them.

        Raises SegctlError; the rings in use before stay in use then.
        """
        if len(fds) != _RING_FDS:
            for fd in fds:
                os.close(fd)
            raise SegctlError(f"a ring set has {_RING_FDS} descriptors, not {len(fds)}")
        check(
            lib.sg_engine_rings_set(self._engine, ffi.new("int[]", list(fds))),
            "taking the packet rings",
            state="the engine goes on with the rings it had",
        )
        self._rings = tuple(fds)

    def drop_rings(self) -> None:
        """Close the rings and read nothing any more. Idempotent."""
        check(lib.sg_engine_rings_drop(self._engine), "give up the packet rings")
        self._rings = ()

    def adopt(self, state: int, *, keep: bool) -> int:
        """Keep the sessions where a successor finds them: in a ring set's memfd, which stays the caller's.
        `keep`: continue with those of a former engine; return how many there are. SegctlError for a memfd of
        another version, or if sessions are open.
        """
        return check(
            lib.sg_engine_adopt(self._engine, state, int(keep)),
            "taking over the flows of a former engine",
            state="the engine starts without any, and leaves none behind",
        )

    def open_maps(self, directory: Path) -> bool:
        """Open the pinned maps; return False if there are none (the engine works without a cache).

        Raises SegctlError where the pins exist and cannot be used.
        """
        # If bpf(2) is refused, it cannot look for pins either.
        if not any(directory.glob("seg_*")):
            return False
        result = lib.sg_engine_maps_open(self._engine, os.fsencode(directory))
        if -result in _ABSENT:
            return False
        check(
            result,
            f"opening the maps pinned in {directory}",
            state="the engine goes on with the maps it had",
            advice="the pins may come from another version: restart the agent",
        )
        return True

    def set_cache(self, enabled: bool) -> None:
        """Switch the verdict cache, with which verdicts go to the flow maps; off empties them."""
        check(
            lib.sg_engine_cache_set(self._engine, int(enabled)),
            "switching the verdict cache",
            state="it is as it was",
        )

    def limit_cache(self, entries: int) -> None:
        """Limit the entries in both flow maps together."""
        check(
            lib.sg_engine_cache_limit(self._engine, entries),
            "limiting the verdict cache",
        )

    def cache_stats(self, port_id: int) -> dict[str, int]:
        """Return the fields of struct sg_cache_stats of a port, or (0) of all."""
        out = ffi.new("struct sg_cache_stats *")
        check(
            lib.sg_engine_cache_stats(self._engine, _port(port_id, lowest=0), out),
            "reading what became of verdicts",
        )
        return {name: int(getattr(out, name)) for name, _ in ffi.typeof(out[0]).fields}

    def set_policy(self, blob: bytes) -> int:
        """Set a packed policy (records.pack_policy); return its port id.

        Raises SegctlError for an impossible policy or when memory is short; the former policy
        stays in force then.
        """
        policy, rules = view_policy(blob)
        check(
            lib.sg_engine_policy_set(self._engine, policy, rules),
            f"setting a policy of {policy.rule_count} rules for port {policy.port_id}",
            state="the port keeps the policy it had",
        )
        return int(policy.port_id)

    def set_node(self, blob: bytes) -> None:
        """Set a packed node policy (node_records.pack_node), whole, with the policies of the ports in it.
        SegctlError for an impossible one, or if memory is short.
        """
        check(
            lib.sg_engine_node_set(self._engine, ffi.from_buffer(blob), len(blob)),
            f"setting a node policy of {len(blob)} bytes",
            state="the rules are the ones before",
            advice="do thousands of its networks lie in thousands of others? Groups take many of them",
        )

    def set_members(self, blob: bytes) -> None:
        """Apply a delta of members (node_records.pack_members); SegctlError as set_node."""
        check(
            lib.sg_engine_members_set(self._engine, ffi.from_buffer(blob), len(blob)),
            "changing who is in which group",
            advice="the engine may have no node policy yet, or another",
        )

    def delete_port(self, port_id: int) -> None:
        """Delete the port's policy, sessions and flow-map entries. Idempotent."""
        check(
            lib.sg_engine_port_delete(self._engine, _port(port_id)), "forgetting a port"
        )

    def set_listeners(self, port_id: int, ports: Sequence[int]) -> None:
        """Set the port's listening TCP ports. SegctlError for an invalid port, or if memory is short."""
        if not all(0 < port < 1 << 16 for port in ports):
            raise SegctlError("listeners are ports from 1 to 65535")
        array = ffi.new("__u16[]", list(ports))
        check(
            lib.sg_engine_listeners_set(
                self._engine, _port(port_id), array, len(ports)
            ),
            f"telling the engine on which ports port {port_id} listens",
        )

    def sync(self) -> None:
        """Wait until what is in the rings now is judged and sent (sg_engine_sync)."""
        check(lib.sg_engine_sync(self._engine), "waiting for the packet loop")

    def counters(self, port_id: int) -> dict[str, tuple[int, int, int]]:
        """Return {reason name: (packets, bytes, passed)} of what is not zero; port 0: what had no port."""
        out = ffi.new("struct sg_reason_count[]", constant("SEG_R_COUNT"))
        check(
            lib.sg_engine_counters(self._engine, _port(port_id, lowest=0), out),
            "reading the engine's counters",
        )
        return {
            reason_name(number): (int(row.packets), int(row.bytes), int(row.passed))
            for number, row in enumerate(out)
            if row.packets
        }

    def events(
        self, limit: int, *, epoch: int = 0, ack: int = 0, after: int = 0
    ) -> tuple[bytes, dict[str, int]]:
        """Return (array of at most `limit` struct sg_event, fields of struct sg_event_page), as
        sg_core_events tells them.
        """
        out = ffi.new("struct sg_event[]", limit)
        page = ffi.new("struct sg_event_page *")
        ask = ffi.new("struct sg_event_ask *", (epoch, ack, after, limit, 0))
        count = check(
            lib.sg_engine_events(self._engine, ask, out, page), "reading events"
        )
        told = {
            name: int(getattr(page, name)) for name, _ in ffi.typeof(page[0]).fields
        }
        return bytes(ffi.buffer(out, count * sizeof("sg_event"))), told

    def hits(
        self, limit: int, *, after: int = 0, cursor: int = 0
    ) -> tuple[bytes, dict[str, int]]:
        """Return (array of at most `limit` struct sg_hit, fields of struct sg_hit_page), as sg_core_hits
        tells them.
        """
        out = ffi.new("struct sg_hit[]", limit)
        page = ffi.new("struct sg_hit_page *", (0, 0, cursor))
        count = check(
            lib.sg_engine_hits(self._engine, after, out, limit, page), "reading hits"
        )
        told = {"epoch": page.epoch, "serial": page.serial, "cursor": page.cursor}
        return bytes(ffi.buffer(out, count * sizeof("sg_hit"))), told

    def sessions(self, port_id: int, limit: int, cursor: int = 0) -> tuple[bytes, int]:
        """Return (array of at most `limit` struct sg_session_info, next cursor; 0: all returned)."""
        out = ffi.new("struct sg_session_info[]", limit)
        where = ffi.new("__u32 *", cursor)
        count = check(
            lib.sg_engine_sessions(
                self._engine, _port(port_id, lowest=0), out, limit, where
            ),
            "listing sessions",
        )
        return bytes(ffi.buffer(out, count * sizeof("sg_session_info"))), int(where[0])

    def names(self, port_id: int, limit: int, cursor: int = 0) -> tuple[bytes, int]:
        """Return (array of at most `limit` struct sg_name_record, next cursor; 0: all returned)."""
        out = ffi.new("struct sg_name_record[]", limit)
        where = ffi.new("__u32 *", cursor)
        count = check(
            lib.sg_engine_names(
                self._engine, _port(port_id, lowest=0), out, limit, where
            ),
            "listing names",
        )
        return bytes(ffi.buffer(out, count * sizeof("sg_name_record"))), int(where[0])

    def names_of(self, peers: bytes, limit: int) -> bytes:
        """Return an array of at most `limit` struct sg_name_record: what the ports know of these addresses, which
        records.pack_peers packed.
        """
        size = sizeof("sg_name_query")
        if len(peers) % size:
            raise SegctlError(f"{len(peers)} bytes are no array of sg_name_query")
        asked = ffi.new("struct sg_name_query[]", len(peers) // size)
        ffi.buffer(asked)[:] = peers
        out = ffi.new("struct sg_name_record[]", limit)
        count = check(
            lib.sg_engine_names_of(self._engine, asked, len(asked), out, limit),
            "looking names up",
        )
        return bytes(ffi.buffer(out, count * sizeof("sg_name_record")))

    def name_counts(self, port_id: int) -> dict[str, int]:
        """Return the fields of struct sg_name_counts of a port, or (0) of all."""
        out = ffi.new("struct sg_name_counts *")
        check(
            lib.sg_engine_name_counts(self._engine, _port(port_id, lowest=0), out),
            "reading what became of DNS answers",
        )
        return {name: int(getattr(out, name)) for name, _ in ffi.typeof(out[0]).fields}

    def stats(self) -> dict[str, Any]:
        """Return the fields of struct sg_engine_stats; arrays are by SG_RING_*."""
        out = ffi.new("struct sg_engine_stats *")
        check(lib.sg_engine_stats(self._engine, out), "reading the engine's figures")
        found: dict[str, Any] = {}
        for name, field in ffi.typeof(out[0]).fields:
            value = getattr(out, name)
            if name != "pad":
                found[name] = list(value) if field.type.kind == "array" else int(value)
        return found


def _port(port_id: int, lowest: int = 1) -> int:
    if not lowest <= port_id < _PORT_IDS:
        raise SegctlError(f"{port_id} is no port id")
    return port_id

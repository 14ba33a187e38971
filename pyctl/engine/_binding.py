"""The C engine as typed Python: the only importer of the extension.

In: fds, paths, packed policies. Out: packed records, or SegctlError for a -errno. I/O: through C.
Each function lets go of the GIL while it waits for the packet thread.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any, Protocol, cast

from pyctl.errors import SegctlError

__all__ = ["Lib", "check", "constant", "ffi", "lib", "pack_array", "sizeof"]


class Lib(Protocol):
    """The functions of sg_engine.h and sg_recognise(); `engine` is a `struct sg_engine *`."""

    def sg_rings_open(
        self, netns: bytes, device: bytes, worker: int, workers: int, fds: Any
    ) -> int: ...
    def sg_engine_new(self, config: Any) -> Any: ...
    def sg_engine_free(self, engine: Any) -> None: ...
    def sg_engine_rings_set(self, engine: Any, fds: Any) -> int: ...
    def sg_engine_adopt(self, engine: Any, state: int, keep: int) -> int: ...
    def sg_engine_rings_drop(self, engine: Any) -> int: ...
    def sg_engine_maps_open(self, engine: Any, directory: bytes) -> int: ...
    def sg_engine_cache_set(self, engine: Any, enabled: int) -> int: ...
    def sg_engine_cache_limit(self, engine: Any, entries: int) -> int: ...
    def sg_engine_cache_stats(self, engine: Any, port_id: int, out: Any) -> int: ...
    def sg_engine_policy_set(self, engine: Any, policy: Any, rules: Any) -> int: ...
    def sg_engine_node_set(self, engine: Any, data: Any, length: int) -> int: ...
    def sg_engine_members_set(self, engine: Any, data: Any, length: int) -> int: ...
    def sg_engine_port_delete(self, engine: Any, port_id: int) -> int: ...
    def sg_engine_listeners_set(
        self, engine: Any, port_id: int, ports: Any, count: int
    ) -> int: ...
    def sg_engine_sync(self, engine: Any) -> int: ...
    def sg_engine_counters(self, engine: Any, port_id: int, out: Any) -> int: ...
    def sg_engine_events(self, engine: Any, ask: Any, out: Any, page: Any) -> int: ...
    def sg_event_fold(self, events: Any, count: int, ports: Any) -> int: ...
    def sg_engine_sessions(
        self, engine: Any, port_id: int, out: Any, limit: int, cursor: Any
    ) -> int: ...
    def sg_engine_hits(
        self, engine: Any, after: int, out: Any, limit: int, page: Any
    ) -> int: ...
    def sg_engine_names(
        self, engine: Any, port_id: int, out: Any, limit: int, cursor: Any
    ) -> int: ...
    def sg_engine_names_of(
        self, engine: Any, peers: Any, count: int, out: Any, limit: int
    ) -> int: ...
    def sg_engine_name_counts(self, engine: Any, port_id: int, out: Any) -> int: ...
    def sg_engine_stats(self, engine: Any, out: Any) -> int: ...
    def sg_recognise(self, prefix: Any, known: Any) -> None: ...


_ffi: Any = importlib.import_module("pyctl.engine._ffi")
ffi: Any = _ffi.ffi
lib: Lib = cast("Lib", _ffi.lib)


def constant(name: str) -> int:
    """Return the value of an enumerator of the engine's headers; AttributeError for an unknown one."""
    return int(getattr(_ffi.lib, name))


def sizeof(struct: str) -> int:
    """Return the size of `struct NAME` in bytes."""
    return int(ffi.sizeof(f"struct {struct}"))


def pack_array(
    struct: str, values: Sequence[dict[str, Any] | tuple[Any, ...]]
) -> bytes:
    """Return an array of `struct NAME` as bytes, each from its fields, by name or in their order."""
    return bytes(ffi.buffer(ffi.new(f"struct {struct}[]", values)))


def check(result: int, tried: str, *, state: str = "", advice: str = "") -> int:
    """Return `result`, or raise SegctlError if it is a -errno."""
    if result >= 0:
        return result
    raise SegctlError(
        f"{tried}: {os.strerror(-result)}", state=state, advice=advice, errno=-result
    )

"""The maps that each worker has of its own: pinned one by one, and held together by an array of maps.

In: the pins' directory, a number of workers. Out: pins, entries of the arrays. I/O: bpf(2).
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

from pyctl.datapath.pins import WORKER_MAPS, worker_pin
from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.bpf import commands as bpf


def ensure_map(
    path: Path, name: str, wanted: bpf.MapLayout, inner: bpf.Map | None = None
) -> bpf.Map:
    """Open the map pinned there, or make and pin it. SegctlError if its layout is another."""
    try:
        found = bpf.Map.open(path)
    except NotFoundError:
        made = bpf.Map.create(name, wanted, inner)
        try:
            made.pin(path)
        except BaseException:
            made.close()
            raise
        return made
    if found.layout != wanted:
        held = found.layout
        found.close()
        raise SegctlError(
            f"the pinned map {path} is {held}, but this version needs {wanted}",
            state="it was left as it is",
            advice=f"detach all workloads with the version that made it, then remove {path.parent}",
        )
    return found


def first_maps(pins: Path) -> dict[str, bpf.Map]:
    """Return the first worker's maps, which are also what the arrays are made for."""
    return {
        name: ensure_map(pins / worker_pin(name, 0), name, layout)
        for name, layout in WORKER_MAPS.items()
    }


def put(array: bpf.Map, worker: int, own: bpf.Map) -> None:
    """Let the programs find the worker's map."""
    array.update(_u32(worker), _u32(own.fd))


def keep(pins: Path, workers: int) -> None:
    """Make what is missing for so many workers, and remove what is there for more."""
    for name in WORKER_MAPS:
        with bpf.Map.open(pins / name) as array:
            for worker in range(1, workers):
                _add(pins, array, name, worker)
            for worker in itertools.count(workers):
                pin = pins / worker_pin(name, worker)
                if not pin.exists():
                    break
                array.delete(_u32(worker))
                pin.unlink()


def _add(pins: Path, array: bpf.Map, name: str, worker: int) -> None:
    pin = pins / worker_pin(name, worker)
    if pin.exists():
        return
    with bpf.Map.create(name, WORKER_MAPS[name]) as own:
        # Pinned last: what is pinned is found by the programs, too.
        put(array, worker, own)
        own.pin(pin)


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)

"""The packet sockets of one enforcer namespace: opened once, outliving every engine.

In: the namespace's path. Out: file descriptors (three receive rings, a send socket, a memfd with
the read positions and the flows). I/O: sockets. The agent opens and keeps them and hands copies to the engine,
so that frames wait in the rings while an engine is being replaced. A successor goes on at the
saved position; what the dead one had sent but not yet given back (a batch at most) is sent twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyctl.engine._binding import check, constant, ffi, lib
from pyctl.errors import SegctlError
from pyctl.model.worker import ALONE, Worker

DEVICE = "vth-neuv"
RING_FDS = constant("SG_FDS")
_STATE = constant("SG_FD_STATE")
_POSITIONS = 8 * constant("SG_RINGS")
"""Bytes of sg_ring_state.next."""
SIOCGIFFLAGS = 0x8913
_RUNNING = 0x1 | 0x40
"""IFF_UP, IFF_RUNNING."""


@dataclass(frozen=True)
class RingSet:
    """The descriptors of the rings, in the order of SG_FD_* in sg_engine.h. The holder closes the set."""

    fds: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.fds) != RING_FDS:
            raise SegctlError(
                f"a ring set has {RING_FDS} descriptors, not {len(self.fds)}"
            )

    @property
    def state(self) -> int:
        """Return the memfd with what a successor of a dead engine must know."""
        return self.fds[_STATE]

    def on_device(self) -> bool:
        """Return whether all sockets are bound to a device named DEVICE (not gone, not renamed)."""
        return all(_name(fd) == DEVICE for fd in self.fds[:_STATE])

    def carries(self) -> bool:
        """Return whether the sockets are on the device, and it and its peer are up."""
        asked = struct.pack("16sh14x", DEVICE.encode(), 0)
        try:
            told = fcntl.ioctl(self.fds[0], SIOCGIFFLAGS, asked)
        except OSError:
            return False
        flags = struct.unpack("16sh14x", told)[1]
        return self.on_device() and flags & _RUNNING == _RUNNING

    def reopened(self, netns: Path | str, worker: Worker = ALONE) -> RingSet:
        """Open sockets on the device that has the name now; return them with the flows of this set."""
        fresh = open_rings(netns, worker=worker)
        os.close(fresh.state)
        # New rings begin at their first slot.
        os.pwrite(self.state, bytes(_POSITIONS), 0)
        return RingSet((*fresh.fds[:_STATE], os.dup(self.state)))

    def close(self) -> None:
        """Close all descriptors. The rings live on while somebody else holds copies."""
        for fd in self.fds:
            with contextlib.suppress(OSError):
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _name(fd: int) -> str:
    """Return the name of the device that a packet socket is bound to."""
    with socket.socket(fileno=os.dup(fd)) as opened:
        return str(opened.getsockname()[0])


def ring_set(fds: Sequence[int]) -> RingSet:
    """Return the set of these descriptors; for a wrong number, close all and raise SegctlError."""
    try:
        return RingSet(tuple(fds))
    except SegctlError:
        for fd in fds:
            os.close(fd)
        raise


def open_rings(
    netns: Path | str, device: str = DEVICE, *, worker: Worker = ALONE
) -> RingSet:
    """Open a ring set for the worker's frames on `device` inside the namespace bound at `netns`.

    The caller's namespace does not change. After the return, frames that reach the device wait in the rings.
    Raises SegctlError (errno set): no such namespace or device, no privilege, no memory.
    """
    fds = ffi.new(f"int[{RING_FDS}]")
    check(
        lib.sg_rings_open(
            os.fsencode(netns), os.fsencode(device), worker.number, worker.of, fds
        ),
        f"opening packet rings on {device} in {netns}",
        state="nothing was opened",
        advice="is the enforcer namespace set up? `segctl doctor` says what this host allows",
    )
    return RingSet(tuple(fds))

"""The agent's eyes: one thread that waits on everything that may change by itself.

In: pidfds of workloads, netlink sockets in their namespaces and in the enforcer's. Out: calls into the
agent's procedures, under its lock. It never polls the kernel for state: it waits on file descriptors.
The engine is looked after by another (engine_watch).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from pyctl.agent.catch_up import CatchUp
from pyctl.agent.context import Context
from pyctl.agent.detach import bury, shed
from pyctl.agent.events import Happening
from pyctl.agent.eyes import Eyes
from pyctl.agent.newcomers import Newcomers
from pyctl.agent.orders import AttachOrder
from pyctl.agent.rounds import Rounds
from pyctl.agent.turns import Turns
from pyctl.errors import NotFoundError
from pyctl.intercept.presence import follow, port_now
from pyctl.model.workload import Workload
from pyctl.platform.change_watch import ChangeWatch
from pyctl.platform.filter_watch import FilterWatch, Touched
from pyctl.platform.process import process_alive

_ROUND_S = 0.2
_PAUSES = 4
"""After a change was followed, so many times as long nothing is followed of that workload: one that
changes its addresses all the time must not take the agent from the others."""
_RETRY_S = 3.0
"""After a burial that failed, so that a host out of disk is not flooded with attempts."""
_REPAIR_PAUSE_S, _REPAIRS_TOLD = 1.0, 4
"""Between two repairs of what a stranger takes away again and again; lines told of each."""


class _Watched:
    """One workload's file descriptors."""

    def __init__(self, workload: Workload) -> None:
        self.workload_id = workload.id
        self.netns = f"/proc/{workload.process.pid}/ns/net"
        self.pidfd = os.pidfd_open(workload.process.pid)
        # Its pid may be another's by now.
        if not process_alive(workload.process):
            os.close(self.pidfd)
            raise ProcessLookupError(workload.process.pid)
        try:
            self.changes = ChangeWatch(self.netns)
        except BaseException:
            os.close(self.pidfd)
            raise

    def close(self) -> None:
        os.close(self.pidfd)
        self.changes.close()


class Watcher:
    """Started once; `stop` returns when its thread has ended. `attach` is the agent's."""

    def __init__(
        self, context: Context, lock: Turns, attach: Callable[[AttachOrder], object]
    ) -> None:
        self._context = context
        self._lock = lock
        self._watched: dict[str, _Watched] = {}
        self._registry_seen: Mapping[str, Workload] = {}
        self._eyes = Eyes()
        self._newcomers = Newcomers(context, lock, attach)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._no_burial_before: dict[str, float] = {}
        self._filters: FilterWatch | None = None
        self._looked_at_all = False
        self._rounds = Rounds(
            "watch",
            context.happened,
            self._look_at_all,
            self._follow_registry,
            CatchUp(context, lock),
            self._newcomers,
            lambda: self._eyes.look(_ROUND_S),
        )
        context.on_change = self.wake

    def start(self) -> None:
        """Begin to watch."""
        netns = str(self._context.instance.netns)
        self._filters = FilterWatch(netns)
        self._eyes.open(self._wake_read, self._woken)
        self._eyes.open(self._filters.fileno(), self._repair)
        self._rounds.start()

    def wake(self) -> None:
        """Look again at which workloads there are."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def stop(self) -> None:
        """End the thread and give the file descriptors back."""
        self._rounds.end(self.wake)
        self._eyes.close()
        for watched in self._watched.values():
            watched.close()
        self._watched = {}
        if self._filters is not None:
            self._filters.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _follow_registry(self) -> None:
        there = self._context.registry.by_id
        if there is self._registry_seen and not self._no_burial_before:
            return
        for workload_id in self._watched.keys() - there.keys():
            self._let_go(workload_id)
        for workload_id in self._no_burial_before.keys() - there.keys():
            del self._no_burial_before[workload_id]
        for workload_id in there.keys() - self._watched.keys():
            if time.monotonic() < self._no_burial_before.get(workload_id, 0.0):
                continue
            try:
                self._watch(there[workload_id])
            except (ProcessLookupError, NotFoundError):
                with self._lock:
                    self._bury(workload_id)
        self._registry_seen = there

    def _watch(self, workload: Workload) -> None:
        watched = self._watched[workload.id] = _Watched(workload)
        self._eyes.open(watched.pidfd, lambda: self._process_ended(watched))
        self._eyes.open(watched.changes.fileno(), lambda: self._changed(watched))
        # What changed before somebody watched.
        self._changed(watched)

    def _let_go(self, workload_id: str) -> None:
        watched = self._watched.pop(workload_id)
        self._newcomers.forget(workload_id)
        for fd in (watched.pidfd, watched.changes.fileno()):
            self._eyes.shut(fd)
        watched.close()

    def _process_ended(self, watched: _Watched) -> None:
        # Its socket pins the namespace, which must die with the container.
        self._let_go(watched.workload_id)
        with self._lock:
            self._bury(watched.workload_id)

    def _bury(self, workload_id: str) -> None:
        workload = self._context.registry.get(workload_id)
        if workload is not None:
            self._context.happened(
                Happening("lifecycle", "its process has ended", workload=workload.name)
            )
            self._no_burial_before[workload_id] = time.monotonic() + _RETRY_S
            bury(self._context, workload)
            del self._no_burial_before[workload_id]

    def _changed(self, watched: _Watched) -> None:
        watched.changes.drain()
        if self._context.registry.get(watched.workload_id) is None:
            # Its detach was what changed: nothing to wait for one's turn for.
            return
        began = time.monotonic()
        try:
            self._follow_workload(watched)
            self._newcomers.look(watched.workload_id)
        finally:
            took = time.monotonic() - began
            self._eyes.rest(watched.changes.fileno(), _PAUSES * took)

    def _follow_workload(self, watched: _Watched) -> None:
        with self._lock:
            workload = self._context.registry.get(watched.workload_id)
            if workload is None:
                return
            if lost := shed(self._context, workload):
                self._context.refresh()
                for warning in lost:
                    self._context.happened(Happening("lifecycle", warning))
                return
            instance = self._context.instance
            ports = tuple(
                port_now(instance, watched.netns, port) for port in workload.ports
            )
            if ports == workload.ports:
                return
            self._context.registry.put(replace(workload, ports=ports))
            self._context.refresh()
            for was, now in zip(workload.ports, ports, strict=True):
                follow(instance, was, now)
        told = "; ".join(
            f"{port.interface}: {port.mac}, MTU {port.mtu}, {' '.join(port.addresses)}"
            for port in ports
        )
        self._context.happened(
            Happening("lifecycle", f"it has now {told}", workload=workload.name)
        )

    def _repair(self) -> None:
        """Filters have changed: by us, or by a stranger, whose work is undone: soon, and not all the
        time, so that one who does not give up does not take the agent from the others.
        """
        filters = self._filters
        if filters is None:
            return
        with self._lock:
            touched = filters.touched()
            found = self._context.steering.repair(touched)
            self._tell_strangers(touched)
        if found:
            self._eyes.rest(filters.fileno(), _REPAIR_PAUSE_S)
            told = "; ".join(found[:_REPAIRS_TOLD])
            if len(found) > _REPAIRS_TOLD:
                told += f"; and {len(found) - _REPAIRS_TOLD} more"
            self._context.happened(Happening("lifecycle", f"rules repaired: {told}"))

    def _look_at_all(self) -> None:
        """Once: what came while no agent was looking."""
        if not self._looked_at_all:
            self._looked_at_all = True
            with self._lock:
                self._tell_strangers(None)

    def _tell_strangers(self, touched: Collection[Touched] | None) -> None:
        """Filters of others that frames meet before ours: not ours to take away."""
        for port_id, line in self._context.steering.strangers(touched):
            workload = self._context.registry.by_port(port_id)
            name = workload.name if workload else None
            happened = Happening("lifecycle", line, workload=name, port_id=port_id)
            self._context.happened(happened)

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
from functools import partial

import structlog

from pyctl.controller import recovery
from pyctl.controller.context import Context
from pyctl.controller.turns import Turns
from pyctl.controller.workloads import succession, uninspected
from pyctl.controller.workloads.detach import bury, shed_and_tell
from pyctl.controller.workloads.given import mac_that_counts
from pyctl.engine.supervisor import Supervisor
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.live_state import follow, live_addresses, port_now
from pyctl.model.workload import Port, Workload
from pyctl.observe.detour import Detour
from pyctl.observe.host_sides import HostSides
from pyctl.observe.hotplug import Newcomers
from pyctl.observe.poller import Eyes
from pyctl.observe.resync import CatchUp
from pyctl.observe.rounds import Rounds
from pyctl.observe.segments import Segments
from pyctl.platform.inhabitants import Inhabitants
from pyctl.platform.process import netns_path, process_alive
from pyctl.platform.watch.changes import ChangeWatch
from pyctl.platform.watch.filters import FilterWatch, Touched
from pyctl.policy.compile.claims import absent, claimed
from pyctl.state.requests import AttachOrder
from pyctl.telemetry.events import Happening

_log = structlog.get_logger()
_ROUND_S = 0.2
_PAUSES = 4
"""After a change was followed, so many times as long nothing is followed of that workload: one that
changes its addresses all the time must not take the agent from the others."""
_RETRY_S, _RETRY_MAX_S = 3.0, 60.0
"""After a burial that failed, so that a host out of disk is not flooded with attempts; and between two
looks at a namespace that nobody lives in and that stays in quarantine."""
_REPAIR_PAUSE_S, _TOLD = 1.0, 4
"""Between two repairs of what a stranger takes away again and again; lines, or addresses, told at once."""


_XDP = "it has an XDP program, which gets its frames from now on"


class _Watched:
    """One workload's file descriptors. ProcessLookupError where its process has ended; of what
    else fails (no descriptor left, a namespace without a name) nothing follows for it.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload_id = workload.id
        self.process = workload.process
        self.macs: dict[int, str] = {}
        """By port, as seen last."""
        self.pidfd = os.pidfd_open(workload.process.pid)
        try:
            self.changes = self._watch(workload)
        except BaseException:
            os.close(self.pidfd)
            raise

    def _watch(self, workload: Workload) -> ChangeWatch:
        # Its pid may be another's by now.
        if process_alive(workload.process):
            with contextlib.suppress(NotFoundError):
                return ChangeWatch(netns_path(workload.process))
        raise ProcessLookupError(workload.process.pid)

    def close(self) -> None:
        os.close(self.pidfd)
        self.changes.close()


class Watcher:
    """Started once; `stop` returns when its thread has ended. `attach` is the agent's."""

    def __init__(
        self,
        context: Context,
        supervisor: Supervisor,
        lock: Turns,
        attach: Callable[[AttachOrder], object],
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._lock = lock
        self._watched: dict[str, _Watched] = {}
        self._registry_seen: Mapping[str, Workload] = {}
        self._eyes = Eyes()
        self._newcomers = Newcomers(context, lock, attach)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._ended: dict[str, float] = {}
        """Workloads whose process has ended, and when it is seen to what becomes of them."""
        self._failures: dict[str, tuple[str, int]] = {}
        """Of these, why the last burial failed, and how many did."""
        self._filters: FilterWatch | None = None
        self._host_sides: HostSides | None = None
        self._detour: Detour | None = None
        self._segments = Segments(context, lock, self._eyes)
        self._looked_at_all = False
        self._rounds = Rounds(
            "watch",
            context.happened,
            self._look_at_detour,
            self._look_at_all,
            self._follow_registry,
            self._see_to_ended,
            CatchUp(lambda: context.behind, partial(recovery.try_again, context), lock),
            self._newcomers,
            self._segments,
            lambda: self._eyes.look(0.0 if self._newcomers.busy else _ROUND_S),
        )
        context.on_change = self.wake

    def start(self) -> None:
        """Begin to watch."""
        netns = str(self._context.instance.netns)
        self._filters = FilterWatch(netns)
        self._eyes.open(self._wake_read, self._woken)
        self._eyes.open(self._filters.fileno(), self._repair)
        self._host_sides = HostSides(self._context, self._lock, self._eyes)
        self._detour = Detour(self._context, self._supervisor, self._lock, self._eyes)
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
        for watch in (self._filters, self._host_sides, self._detour, self._segments):
            if watch is not None:
                watch.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _follow_registry(self) -> None:
        there = self._context.registry.by_id
        if there is self._registry_seen:
            return
        for workload_id, watched in list(self._watched.items()):
            now = there.get(workload_id)
            if now is None or now.process != watched.process:
                self._let_go(workload_id)
        for workload_id in self._ended.keys() - there.keys():
            del self._ended[workload_id]
        for workload_id in there.keys() - self._watched.keys() - self._ended.keys():
            try:
                watched = self._watch(there[workload_id])
            except ProcessLookupError:
                self._ended[workload_id] = 0.0
                continue
            except (OSError, SegctlError) as error:
                # It may live, whatever was wanting.
                self._ended[workload_id] = time.monotonic() + _RETRY_S
                _log.warning("not watched yet", workload=workload_id, error=str(error))
                continue
            # What changed before somebody watched.
            self._changed(watched)
        self._registry_seen = there

    def _watch(self, workload: Workload) -> _Watched:
        watched = self._watched[workload.id] = _Watched(workload)
        self._eyes.open(watched.pidfd, lambda: self._process_ended(watched))
        self._eyes.open(watched.changes.fileno(), lambda: self._changed(watched))
        return watched

    def _let_go(self, workload_id: str) -> None:
        watched = self._watched.pop(workload_id)
        self._newcomers.forget(workload_id)
        for fd in (watched.pidfd, watched.changes.fileno()):
            self._eyes.shut(fd)
        watched.close()

    def _process_ended(self, watched: _Watched) -> None:
        # Its socket pins the namespace, which must die with the last who lives there.
        self._let_go(watched.workload_id)
        self._ended[watched.workload_id] = 0.0

    def _see_to_ended(self) -> None:
        """Workloads whose process has ended go on with another, or are done with. One look at /proc for all
        that are due.
        """
        registry, now = self._context.registry, time.monotonic()
        due = [one for one, since in self._ended.items() if since <= now]
        if not due:
            return
        for workload_id in due:
            self._ended[workload_id] = now + _RETRY_S
        gone = self._failures.keys() - self._ended.keys()
        for workload_id in gone:
            del self._failures[workload_id]
        found = [one for workload_id in due if (one := registry.get(workload_id))]
        living = succession.search(found)
        for workload in found:
            try:
                with self._lock:
                    self._see_to(workload.id, living)
            except Exception as error:  # noqa: BLE001  whatever it is, the others have their turn
                kind = "" if isinstance(error, SegctlError | OSError) else repr(error)
                self._put_off(workload, kind or str(error) or repr(error))

    def _put_off(self, workload: Workload, why: str) -> None:
        """It is seen to later, ever more rarely, and told again only where there is another reason."""
        before, tries = self._failures.get(workload.id, ("", 0))
        self._failures[workload.id] = why, min(tries + 1, 16)
        pause = min(_RETRY_MAX_S, _RETRY_S * 2**tries)
        self._ended[workload.id] = time.monotonic() + pause
        if why != before:
            self._happened(workload, f"its process has ended; it is tried again: {why}")

    def _see_to(self, workload_id: str, living: Inhabitants) -> None:
        workload = self._context.registry.get(workload_id)
        if workload is None:
            return
        if succession.go_on(self._context, workload, living):
            if process_alive(self._context.registry.by_id[workload_id].process):
                # It is watched from the next round on.
                del self._ended[workload_id]
                self._registry_seen = {}
            return
        if workload_id not in self._failures:
            self._happened(workload, "its process has ended")
        # An unfinished splice of its would keep it from being removed.
        recovery.finish_journals(self._context)
        workload = self._context.registry.get(workload_id)
        if workload is not None:
            bury(self._context, workload)
        self._ended.pop(workload_id, None)

    def _changed(self, watched: _Watched) -> None:
        watched.changes.drain()
        if self._context.registry.get(watched.workload_id) is None:
            # Its detach was what changed: nothing to wait for one's turn for.
            return
        began = time.monotonic()
        try:
            self._follow_workload(watched)
            self._newcomers.look(watched.workload_id)
            self._cover(watched.workload_id)
        except NotFoundError:
            # Its end is told by its pidfd.
            if process_alive(watched.process):
                raise
        finally:
            took = time.monotonic() - began
            self._eyes.rest(watched.changes.fileno(), _PAUSES * took)

    def _follow_workload(self, watched: _Watched) -> None:
        # Not under the lock: a workload may have given itself very many.
        live = live_addresses(watched.process)
        with self._lock:
            workload = self._context.registry.get(watched.workload_id)
            if workload is None:
                return
            if shed_and_tell(self._context, workload):
                return
            if absent(workload, live) != workload.absent:
                # It may have been looked at while a splice put its addresses back.
                live = live_addresses(watched.process)
            ports = tuple(
                self._port_now(watched, workload, one) for one in workload.ports
            )
            current = replace(workload, ports=ports)
            current = replace(
                current, claims=claimed(current, live), absent=absent(current, live)
            )
            if current == workload:
                return
            self._tell_absent(workload, current)
            self._context.registry.put(current)
            self._context.refresh()
            if ports == workload.ports:
                return
            for was, port in zip(workload.ports, ports, strict=True):
                follow(self._context.instance, was, port)
        told = "; ".join(
            f"{port.interface}: {port.mac}, MTU {port.mtu}" for port in ports
        )
        self._happened(workload, f"it has now {told}")
        for was, now in zip(workload.ports, ports, strict=True):
            if now.xdp and not was.xdp:
                self._happened(workload, f"{now.interface}: {_XDP}")

    def _tell_absent(self, was: Workload, now: Workload) -> None:
        gone = [text for text in now.absent if text not in was.absent]
        back = [text for text in was.absent if text not in now.absent]
        if gone:
            told = f"it has {', '.join(gone[:_TOLD])} no more, which others may have"
            self._happened(now, told)
        if back:
            self._happened(now, f"it has {', '.join(back[:_TOLD])} again")

    def _cover(self, workload_id: str) -> None:
        """Know what is not inspected; in quarantine it is cut off."""
        with self._lock:
            workload = self._context.registry.get(workload_id)
            if workload is None:
                return
            uninspected.look(self._context, workload)
            if self._newcomers.waits(workload_id):
                # It is spliced in a moment: no reason to touch the host's side.
                return
            try:
                uninspected.cover(self._context, workload)
            except SegctlError as error:
                self._happened(workload, str(error))

    def _happened(self, workload: Workload, told: str) -> None:
        happening = Happening("lifecycle", told, workload=workload.name)
        self._context.happened(happening)

    def _port_now(self, watched: _Watched, workload: Workload, was: Port) -> Port:
        now = port_now(self._context.instance, workload.process, was)
        others = [one for one in self._context.registry.all() if one.id != workload.id]
        mac, why = mac_that_counts(workload, was, now, others)
        if why and watched.macs.get(was.port_id) != now.mac:
            told = f"{now.interface} has the MAC {now.mac} by now: {why}"
            self._happened(workload, told)
        watched.macs[was.port_id] = now.mac
        return replace(now, mac=mac)

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
            told = "; ".join(found[:_TOLD])
            if len(found) > _TOLD:
                told += f"; and {len(found) - _TOLD} more"
            self._context.happened(Happening("lifecycle", f"rules repaired: {told}"))

    def _look_at_detour(self) -> None:
        if self._detour is not None:
            self._detour()

    def _look_at_all(self) -> None:
        """Once: what came while no agent was looking."""
        if not self._looked_at_all:
            self._looked_at_all = True
            with self._lock:
                self._tell_strangers(None)
            if self._host_sides:
                self._host_sides.follow(None)

    def _tell_strangers(self, touched: Collection[Touched] | None) -> None:
        """Filters of others that frames meet before ours: not ours to take away."""
        for port_id, line in self._context.steering.strangers(touched):
            workload = self._context.registry.by_port(port_id)
            name = workload.name if workload else None
            happened = Happening("lifecycle", line, workload=name, port_id=port_id)
            self._context.happened(happened)

"""Attached workloads: processes that end, addresses, MACs and links that change.

In: the registry, pidfds, netlink sockets in the workloads' namespaces. Out: the registry, ports that follow
their interface, an event for each change. All by the observers' thread, which reads; the controller writes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import structlog

from pyctl.controller import recovery
from pyctl.controller.context import Context
from pyctl.controller.loop import Failures, Loop, each
from pyctl.controller.workloads import succession, uninspected
from pyctl.controller.workloads.detach import (
    cleanup_dead_workload,
    drop_and_tell_broken_ports,
)
from pyctl.controller.workloads.given import mac_that_counts
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.live_state import follow, live_addresses, port_now
from pyctl.model.workload import Port, Workload
from pyctl.observe.hotplug import Hotplug
from pyctl.observe.poller import Poller
from pyctl.platform.inhabitants import Inhabitants
from pyctl.platform.process import netns_path, process_alive
from pyctl.platform.watch.changes import ChangeWatch
from pyctl.policy.compile.claims import absent, claimed
from pyctl.telemetry.events import Event

_log = structlog.get_logger()
_RETRY_S = 3.0
"""Seconds between two looks at a namespace without processes that stays attached."""
_SOON_S = 0.5
"""Seconds until the second of them: a container's runtime takes the namespace away just after the last process."""
_PAUSE_S = 0.2
"""Seconds between two looks at a workload that goes on with a new process, which may end at once too."""
_TOLD = 4
"""How many addresses one event names."""
_XDP = "it has an XDP program, which gets its frames from now on"
ENDED, CHANGED = "ended", "changed"
"""Kinds of work, by workload id."""
REGISTRY = "registry"
"""The kind of work that follows which workloads there are."""


class _Watched:
    """The file descriptors of one watched workload. ProcessLookupError if its process has ended; any other
    error (no descriptor left, a namespace without a name) does not mean that.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload_id = workload.id
        self.process = workload.process
        self.macs: dict[int, str] = {}
        """The MAC seen last, by port id."""
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


class Workloads:
    """The watch of all workloads; call `follow_registry` when some have come or gone."""

    def __init__(
        self,
        context: Context,
        controller: Loop,
        looks: Loop,
        poller: Poller,
        hotplug: Hotplug,
    ) -> None:
        self._context = context
        self._do = controller.do
        self._looks = looks
        self._poller = poller
        self._hotplug = hotplug
        self._watched: dict[str, _Watched] = {}
        self._ended: set[str] = set()
        """Workloads whose process has ended, and of which nobody knows yet what becomes of them."""
        self._told: set[str] = set()
        """The ended workloads for which an event was recorded."""
        self._empty: set[str] = set()
        """The ended workloads that stay attached."""

    def close(self) -> None:
        """Stop watching all workloads."""
        for watched in self._watched.values():
            watched.close()
        self._watched = {}

    def follow_registry(self) -> None:
        """Watch the workloads that are attached now, and no others."""
        there = self._context.registry.by_id
        for workload_id, watched in list(self._watched.items()):
            now = there.get(workload_id)
            if now is None or now.process != watched.process:
                self._let_go(workload_id)
        for workload_id in self._ended - there.keys():
            self._ended.discard(workload_id)
            self._looks.drop(ENDED, workload_id)
        for workload_id in there.keys() - self._watched.keys() - self._ended:
            try:
                self._watch(there[workload_id])
            except ProcessLookupError:
                self._has_ended(workload_id)
            except (OSError, SegctlError) as error:
                # The process may still live.
                self._has_ended(workload_id, _RETRY_S)
                _log.warning("not watched yet", workload=workload_id, error=str(error))

    def _watch(self, workload: Workload) -> None:
        watched = self._watched[workload.id] = _Watched(workload)
        put = partial(self._looks.put, key=workload.id)
        self._poller.open(watched.pidfd, partial(put, ENDED))
        self._poller.open(watched.changes.fileno(), partial(put, CHANGED))
        # Look at changes from before the watch.
        put(CHANGED)

    def _let_go(self, workload_id: str) -> None:
        watched = self._watched.pop(workload_id)
        self._hotplug.forget(workload_id)
        for fd in (watched.pidfd, watched.changes.fileno()):
            self._poller.shut(fd)
        watched.close()

    def _has_ended(self, workload_id: str, after_s: float = 0.0) -> None:
        self._ended.add(workload_id)
        self._looks.put(ENDED, workload_id, after_s)

    def see_to_ended(self, ids: Sequence[str]) -> Failures:
        """Give workloads whose process has ended another process, or clean them up; return the failures by
        id. One pass over /proc serves all of them.
        """
        registry = self._context.registry
        for workload_id in ids:
            self._ended.add(workload_id)
            self._looks.rest(ENDED, workload_id, _PAUSE_S)
            if workload_id in self._watched:
                # Its socket pins the namespace, which must die with the last who lives there.
                self._let_go(workload_id)
        found = [one for key in ids if (one := registry.get(key)) is not None]
        living = succession.search(found)

        stay = set()

        def see_to(workload_id: str) -> None:
            if self._do(partial(self._see_to, workload_id, living)):
                stay.add(workload_id)
                again = _RETRY_S if workload_id in self._empty else _SOON_S
                self._looks.put(ENDED, workload_id, again)

        failures = each(see_to)([one.id for one in found])
        # Compare ids only: a workload attached since is another one, and is watched.
        self._ended -= set(ids) - failures.keys() - stay
        self._told &= self._ended
        self._empty = (self._empty & self._ended) | stay
        return failures

    def _see_to(self, workload_id: str, living: Inhabitants) -> bool:
        """Settle one ended workload; return whether it stays without a process and is looked at again."""
        workload = self._context.registry.get(workload_id)
        if workload is None:
            return False
        if succession.go_on(self._context, workload, living):
            if not process_alive(self._context.registry.by_id[workload_id].process):
                self._tell_empty(workload)
                return True
            self._looks.put(REGISTRY)
            return False
        if workload_id not in self._told:
            self._told.add(workload_id)
            self._tell(workload, "its process has ended")
        # An unfinished splice of the workload would prevent its removal.
        recovery.finish_journals(self._context)
        workload = self._context.registry.get(workload_id)
        if workload is not None:
            cleanup_dead_workload(self._context, workload)
        return False

    def _tell_empty(self, workload: Workload) -> None:
        """Record once that the workload stays attached without a process, when its namespace outlasts a look."""
        if workload.id not in self._empty or workload.id in self._told:
            return
        self._told.add(workload.id)
        mode = self._context.mode_of(workload).mode
        told = (
            f"its process {workload.process.pid} has ended, but its network namespace lives on, and stays attached in "
            f"{mode} for whoever enters it, until `segctl detach {workload.name}`"
        )
        self._tell(workload, told)

    def not_buried(self, workload_id: str, error: Exception) -> None:
        """Report why an ended workload's state is unknown, or why it is not cleaned up yet."""
        workload = self._context.registry.get(workload_id)
        if workload is not None:
            known = "its process has ended"
            if workload_id not in self._told:
                # Descriptors or memory were missing to find out.
                known = "it is not known whether its process has ended"
            self._tell(
                workload, f"{known}; it is tried again: {str(error) or repr(error)}"
            )

    def look(self, workload_id: str) -> None:
        """Update the workload after a change in its namespace."""
        watched = self._watched.get(workload_id)
        if watched is None:
            return
        try:
            watched.changes.drain()
            if self._context.registry.get(workload_id) is None:
                # The change was its detach: no need to wait for the controller.
                return
            self._follow(watched)
            self._hotplug.look(workload_id)
            self._do(partial(self._cover, workload_id))
        except NotFoundError:
            # Its pidfd reports its end.
            if process_alive(watched.process):
                raise
        finally:
            self._poller.arm(watched.changes.fileno())

    def _follow(self, watched: _Watched) -> None:
        # Read outside the controller: a workload may have given itself very many addresses.
        live = live_addresses(watched.process)
        self._do(partial(self._take, watched, live))

    def _take(self, watched: _Watched, live: tuple[tuple[str, str], ...]) -> None:
        workload = self._context.registry.get(watched.workload_id)
        if workload is None or workload.process != watched.process:
            # The addresses belong to a new workload with that id, which has its own watch.
            return
        if drop_and_tell_broken_ports(self._context, workload):
            return
        if absent(workload, live) != workload.absent:
            # The first look may have happened while a splice restored the addresses.
            live = live_addresses(watched.process)
        ports = tuple(self._port_now(watched, workload, one) for one in workload.ports)
        current = replace(workload, ports=ports)
        current = replace(
            current, claims=claimed(current, live), absent=absent(current, live)
        )
        if current == workload:
            return
        # First, because nothing is done anew for what the registry has.
        for was, port in zip(workload.ports, ports, strict=True):
            follow(self._context.instance, was, port)
        self._context.registry.put(current)
        self._tell_absent(workload, current)
        if ports != workload.ports:
            self._tell_ports(workload, ports)
        self._context.refresh()

    def _tell_ports(self, workload: Workload, ports: Sequence[Port]) -> None:
        told = "; ".join(
            f"{port.interface}: {port.mac}, MTU {port.mtu}" for port in ports
        )
        self._tell(workload, f"it has now {told}")
        for was, now in zip(workload.ports, ports, strict=True):
            if now.xdp and not was.xdp:
                self._tell(workload, f"{now.interface}: {_XDP}")

    def _tell_absent(self, was: Workload, now: Workload) -> None:
        gone = [text for text in now.absent if text not in was.absent]
        back = [text for text in was.absent if text not in now.absent]
        if gone:
            told = f"it has {', '.join(gone[:_TOLD])} no more, which others may have"
            self._tell(now, told)
        if back:
            self._tell(now, f"it has {', '.join(back[:_TOLD])} again")

    def _cover(self, workload_id: str) -> None:
        """Find the workload's uninspected interfaces; in quarantine, cut them off."""
        workload = self._context.registry.get(workload_id)
        if workload is None:
            return
        uninspected.look(self._context, workload)
        if self._hotplug.waits(workload_id):
            # It will be spliced in a moment: do not touch the host's side.
            return
        try:
            uninspected.cover(self._context, workload)
        except SegctlError as error:
            self._tell(workload, str(error))

    def _port_now(self, watched: _Watched, workload: Workload, was: Port) -> Port:
        now = port_now(self._context.instance, workload.process, was)
        others = [one for one in self._context.registry.all() if one.id != workload.id]
        mac, why = mac_that_counts(workload, was, now, others)
        if why and watched.macs.get(was.port_id) != now.mac:
            told = f"{now.interface} has the MAC {now.mac} by now: {why}"
            self._tell(workload, told)
        watched.macs[was.port_id] = now.mac
        return replace(now, mac=mac)

    def _tell(self, workload: Workload, told: str) -> None:
        self._context.happened(Event("lifecycle", told, workload=workload.name))

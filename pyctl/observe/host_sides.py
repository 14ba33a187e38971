"""The host's side of every attached interface: what changes there shows at our vex. And the end of its other
side: one that was moved out of its workload's namespace (`docker network disconnect`), and deleted there, is
missed at our vin alone.

In: link events of the enforcer's namespace. Out: the workloads' interfaces with the carrier and the MTU that
they would have without us, ports that know what their host peer is, an event for each change. For the
watcher's thread.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import replace

from pyctl.controller.context import Context
from pyctl.controller.workloads.detach import shed_and_tell
from pyctl.intercept.host_side import follow_host
from pyctl.intercept.live_state import host_side_now, standing
from pyctl.model.workload import Port, Workload
from pyctl.observe.poller import Eyes
from pyctl.platform.watch.links import LinkWatch
from pyctl.telemetry.events import Happening

_PAUSES = 4
"""After changes were followed, so many times as long none are: a host's side that flaps must not take the
agent from the others."""
_HOST_SIDE = (
    "the host's end has a bridge or an XDP program, which gets its frames from now on"
)


class HostSides:
    """Watches from its making on, in `eyes`; `close` it after them."""

    def __init__(
        self, context: Context, lock: AbstractContextManager[object], eyes: Eyes
    ) -> None:
        self._context = context
        self._lock = lock
        self._eyes = eyes
        self._links = LinkWatch(str(context.instance.netns))
        eyes.open(self._links.fileno(), self._changed)

    def close(self) -> None:
        """Let the namespace go."""
        self._links.close()

    def _changed(self) -> None:
        began = time.monotonic()
        self.follow(self._links.touched())
        took = time.monotonic() - began
        self._eyes.rest(self._links.fileno(), _PAUSES * took)

    def follow(self, indexes: Collection[int] | None) -> None:
        """Follow the ports whose vex or vin has one of these indexes; None: all."""
        if not self._ports(indexes):
            # Nobody's, or of an interface under way: not worth waiting for one's turn.
            return
        with self._lock:
            for workload, port in self._standing(indexes):
                told = list(follow_host(self._context.instance, port))
                now = host_side_now(self._context.instance, port)
                if now != port:
                    self._put(workload, now)
                if port.host_mac and not now.host_mac:
                    told.append(f"{now.interface}: {_HOST_SIDE}")
                for line in told:
                    happening = Happening("lifecycle", line, workload=workload.name)
                    self._context.happened(happening)

    def _put(self, workload: Workload, now: Port) -> None:
        known = self._context.registry.get(workload.id) or workload
        ports = (now if one.port_id == now.port_id else one for one in known.ports)
        self._context.registry.put(replace(known, ports=tuple(ports)))
        self._context.refresh()

    def _standing(self, indexes: Collection[int] | None) -> list[tuple[Workload, Port]]:
        """Those of which both ends are there; the others are let go."""
        ports = self._ports(indexes)
        # Asked for all at once: it may be about every port of a node.
        names = {name for _, port in ports for name in (port.vex, port.vin)}
        there = standing(self._context.instance, names)
        broken = {
            workload.id: workload
            for workload, port in ports
            if not {port.vex, port.vin} <= there
        }
        for workload in broken.values():
            shed_and_tell(self._context, workload)
        return self._ports(indexes) if broken else ports

    def _ports(self, indexes: Collection[int] | None) -> list[tuple[Workload, Port]]:
        """The ports of which it may be an end, with their workloads."""
        return [
            (workload, port)
            for workload in self._context.registry.all()
            for port in workload.ports
            if indexes is None
            or not {port.vex_ifindex, port.vin_ifindex}.isdisjoint(indexes)
        ]

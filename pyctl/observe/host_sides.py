"""The host's side of every attached interface: what changes there shows at our vex. And the end of its other
side: one that was moved out of its workload's namespace (`docker network disconnect`), and deleted there, is
missed at our vin alone.

In: link events of the enforcer's namespace. Out: the workloads' interfaces with the carrier and the MTU that
they would have without us, ports that know what their host peer is, an event for each change.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from pyctl.controller.context import Context
from pyctl.controller.loop import Loop
from pyctl.controller.workloads.detach import drop_and_tell_broken_ports
from pyctl.errors import SegctlError
from pyctl.intercept.host_side import follow_host
from pyctl.intercept.live_state import host_side_now, standing
from pyctl.model.workload import Port, Workload
from pyctl.platform.watch.links import LinkWatch
from pyctl.telemetry.events import Event

_HOST_SIDE = (
    "the host's end has a bridge or an XDP program, which gets its frames from now on"
)


class HostSides:
    """The watch of the host's ends; call `follow` when a link of the enforcer's namespace was touched."""

    def __init__(self, context: Context, controller: Loop) -> None:
        self._context = context
        self._do = controller.do
        self._links = LinkWatch(str(context.instance.netns))
        self._behind = False
        """The last look failed: it is not known any more which ports it was about."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when a link was touched."""
        return self._links.fileno()

    def close(self) -> None:
        """Close the watch and release the namespace."""
        self._links.close()

    def follow(self) -> None:
        """Follow the ports of which an end was touched; all, if that failed the last time."""
        touched, behind = self._links.touched(), self._behind
        self._behind = True
        self.follow_all(None if behind else touched)
        self._behind = False

    def follow_all(self, indexes: Collection[int] | None = None) -> None:
        """Follow the ports whose vex or vin has one of these indexes; None: all."""
        # Other links need no wait for the controller: nobody's, or part of a splice under way.
        if self._ports(indexes):
            self._do(partial(self._follow, indexes))

    def _follow(self, indexes: Collection[int] | None) -> None:
        failed = None
        for workload, port in self._standing(indexes):
            try:
                self._follow_port(workload, port)
            except (OSError, SegctlError) as error:
                # The others are followed all the same.
                failed = failed or error
        if failed is not None:
            raise failed

    def _follow_port(self, workload: Workload, port: Port) -> None:
        told = list(follow_host(self._context.instance, port))
        now = host_side_now(self._context.instance, port)
        if port.host_mac and not now.host_mac:
            told.append(f"{now.interface}: {_HOST_SIDE}")
        for line in told:
            event = Event("lifecycle", line, workload=workload.name)
            self._context.happened(event)
        if now != port:
            self._put(workload, now)

    def _put(self, workload: Workload, now: Port) -> None:
        known = self._context.registry.get(workload.id) or workload
        ports = (now if one.port_id == now.port_id else one for one in known.ports)
        self._context.registry.put(replace(known, ports=tuple(ports)))
        self._context.refresh()

    def _standing(self, indexes: Collection[int] | None) -> list[tuple[Workload, Port]]:
        """Return the ports of which both ends exist, with their workloads; release the others."""
        ports = self._ports(indexes)
        # Ask for all at once: it may be about every port of a node.
        names = {name for _, port in ports for name in (port.vex, port.vin)}
        there = standing(self._context.instance, names)
        broken = {
            workload.id: workload
            for workload, port in ports
            if not {port.vex, port.vin} <= there
        }
        for workload in broken.values():
            drop_and_tell_broken_ports(self._context, workload)
        return self._ports(indexes) if broken else ports

    def _ports(self, indexes: Collection[int] | None) -> list[tuple[Workload, Port]]:
        """Return the ports whose vex or vin has one of these indexes (None: all), with their workloads."""
        return [
            (workload, port)
            for workload in self._context.registry.all()
            for port in workload.ports
            if indexes is None
            or not {port.vex_ifindex, port.vin_ifindex}.isdisjoint(indexes)
        ]

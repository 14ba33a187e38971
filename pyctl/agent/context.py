"""What the agent's procedures share: the registry, the policy, the steering, the events.

In: an instance with its parts. Out: the small questions and moves that attach, detach, watch and
recovery have in common. Its callers hold the agent's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from pyctl.agent.events import EventLog, Happening
from pyctl.agent.history.writer import History
from pyctl.agent.ids import PortIds
from pyctl.agent.registry import Registry
from pyctl.agent.steering import Steering
from pyctl.agent.store import Store
from pyctl.intercept.classic import switch_bridge
from pyctl.intercept.presence import far_vex, switch_offloads
from pyctl.model.instance import Instance
from pyctl.model.workload import Offload, Port, Workload
from pyctl.platform.listeners import listening_ports
from pyctl.policy.compile import Compiled, Compiler
from pyctl.policy.document import EMPTY, Policy
from pyctl.policy.resolve import EffectiveMode, effective_mode

_log = structlog.get_logger()


@dataclass
class Context:
    """The parts of one agent."""

    instance: Instance
    store: Store
    registry: Registry
    steering: Steering
    events: EventLog
    history: History
    port_ids: PortIds
    policy: Policy = EMPTY
    on_change: Callable[[], None] = field(default=lambda: None)
    """Called when the set of processes to watch has changed."""
    stale: bool = False
    """The last refresh failed, or is under way."""
    _bridge_off: bool | None = None
    _compiler: Compiler = field(default_factory=lambda: Compiler(EMPTY))

    def watched(self) -> None:
        """Tell whoever watches processes to look again."""
        self.on_change()

    def new_port_id(self) -> int:
        """An id of which nothing is left anywhere; on disk before it is used."""
        drivers = self.steering.drivers
        port_id = self.port_ids.allocate(
            lambda candidate: (
                self.registry.by_port(candidate) is not None
                or drivers.port_in_use(candidate)
            )
        )
        self.store.save_port_id(port_id)
        return port_id

    def mode_of(self, workload: Workload) -> EffectiveMode:
        """The effective mode and where it comes from."""
        return effective_mode(self.policy, workload)

    def compile(self, joining: Workload | None = None) -> Compiled:
        """What should hold now, with a workload that need not be in the registry yet."""
        if self._compiler.policy is not self.policy:
            self._compiler = Compiler(self.policy)
        workloads = dict(self.registry.by_id)
        if joining is not None:
            workloads[joining.id] = joining
        return self._compiler.compile(workloads.values())

    def prepare(self, workload: Workload, port: Port) -> None:
        """Teach the engine a port of a workload that need not be in the registry yet."""
        pid = workload.process.pid
        self.steering.prepare(
            self.compile(workload),
            port.port_id,
            workload.datapath,
            lambda: listening_ports(pid),
        )

    def steer(self, workload: Workload, port: Port) -> None:
        """Steer one prepared port of a workload that is in the registry."""
        self.steering.add(port.port_id, self.compile(), workload.datapath)

    def move(self, workload: Workload) -> None:
        """Bring the ports of a workload to the datapath that it names by now."""
        pairs = self.compile().pairs
        for port in workload.ports:
            self.steering.move(pairs[port.port_id], workload.datapath)

    def joined(self, port: Port) -> None:
        """A port was attached whose vex may be the very peer of another's: that one's frames must
        not be sent by bpf_redirect_peer any more, which loses them within one namespace.
        """
        far = far_vex(self.instance, port.vex)
        if far is None:
            return
        for workload in self.registry.all():
            ports = tuple(
                replace(one, host_mac=None) if one.vex_ifindex == far else one
                for one in workload.ports
            )
            if ports != workload.ports:
                self.registry.put(replace(workload, ports=ports))
                self.refresh()

    def refresh(self) -> int:
        """Make engine and driver follow the registry and the policy; gives how many ports'
        policies were changed.
        """
        self.stale = True
        changed = self.steering.change(self.compile())
        self.stale = False
        return changed

    def switch_offloads(self, workload: Workload) -> None:
        """Of its interfaces, and of the way through the engine, to what it says."""
        for port in workload.ports:
            switch_offloads(self.instance, workload.process, port, workload.offload)
        self.switch_bridge()

    def switch_bridge(self) -> None:
        """Where one workload goes without offloads, the way through the engine does for all."""
        loads = self.registry.all()
        off = any(load.offload is Offload.OFF for load in loads)
        if off is not self._bridge_off:
            switch_bridge(self.instance, Offload.OFF if off else Offload.ON)
            self._bridge_off = off

    def keep_or_drop(self, workload: Workload) -> None:
        """Write the workload with the ports it has; without any it is not attached, unless it is whole."""
        if workload.ports or workload.whole:
            self.registry.put(workload)
        else:
            self.registry.drop(workload.id)

    def happened(self, happening: Happening) -> None:
        """Record it, and log it unless it is one more of the same."""
        self.history.record(events=[happening])
        if self.events.add(happening):
            _log.info(
                happening.message,
                kind=happening.kind,
                **{
                    key: value
                    for key, value in vars(happening).items()
                    if value is not None and key not in ("kind", "message", "time")
                },
            )

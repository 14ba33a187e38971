"""What the agent's procedures share: the registry, the policy, the steering, the events.

In: an instance with its parts. Out: the small questions and moves that attach, detach, watch and
recovery have in common. Its callers are run by the controller's loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from pyctl.controller.commit_order import commit_in_order
from pyctl.controller.steering import Steering
from pyctl.free_space import is_full
from pyctl.intercept.live_state import far_vex, switch_offloads
from pyctl.intercept.offload_switch import switch_bridge
from pyctl.intercept.uninspected import Uninspected
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    ADDRESSES_MAX,
    ClaimState,
    Fail,
    Offload,
    Port,
    Workload,
)
from pyctl.platform.sockets.listeners import listening_ports
from pyctl.policy.compile.claims import in_groups, settle, shared, taken
from pyctl.policy.compile.compiler import Compiled, Compiler
from pyctl.policy.document.named_ports import PortNames
from pyctl.policy.document.resolve import EffectiveMode, effective_mode
from pyctl.policy.document.types import EMPTY, Policy
from pyctl.state.ids import PortIds
from pyctl.state.registry import Registry
from pyctl.state.remembered import Memory
from pyctl.state.store import Store
from pyctl.telemetry.events import Event, EventLog
from pyctl.telemetry.history.writer import History
from pyctl.telemetry.log_budget import LogBudget

_log = structlog.get_logger()
_CLAIMS_TOLD = 4
"""Lines told of one workload's new claims at once."""


@dataclass
class Context:
    """The parts of one agent that all procedures share."""

    instance: Instance
    store: Store
    memory: Memory
    registry: Registry
    steering: Steering
    events: EventLog
    history: History
    port_ids: PortIds
    log_budget: LogBudget = field(default_factory=LogBudget)
    policy: Policy = EMPTY
    on_due: Callable[[], None] = field(default=lambda: None)
    """Called when something was refused and `due` is not empty any more."""
    give_way: Callable[[], None] = field(default=lambda: None)
    """Lets what must not wait cut in. Called in the midst of long splices, where registry, steering and kernel agree
    but for the workloads `under_way`."""
    under_way: set[str] = field(default_factory=set)
    """The ids of the workloads that are being spliced or given their interfaces back."""
    uninspected: Mapping[str, tuple[Uninspected, ...]] = field(default_factory=dict)
    """By workload id: its interfaces that lead out and are not inspected. Replaced on change, never altered."""
    stale: bool = False
    """The last refresh failed."""
    unsteered: dict[int, str] = field(default_factory=dict)
    """By port id: why an existing port could not be steered. Such a port carries nothing."""
    unfinished: tuple[str, ...] = ()
    """Interrupted splices that could not be finished, a line each."""
    _bridge_off: bool | None = None
    _compiler: Compiler = field(default_factory=lambda: Compiler(EMPTY))
    _compiled: tuple[Mapping[str, Workload], Compiled] | None = None
    """The compiler's last result, and the workloads that it was made from."""

    def due(self) -> list[str]:
        """Return what was refused and will be tried again, a line each."""
        # A copy, because readers ask too while the loop steers ports.
        unsteered = self.unsteered.copy().items()
        lines = [f"port {port_id}: {why}" for port_id, why in unsteered]
        stale = ["engine and kernel follow the last change"] if self.stale else []
        return [*lines, *self.unfinished, *stale]

    @contextmanager
    def splicing(self, ids: Iterable[str]) -> Iterator[None]:
        """Keep what cuts in from these workloads while the block runs."""
        added = set(ids) - self.under_way
        self.under_way |= added
        try:
            yield
        finally:
            self.under_way -= added

    def new_port_id(self) -> int:
        """Return a port id of which nothing is left anywhere; it is on disk before it is used."""
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
        """Return the workload's effective mode and where it comes from."""
        return effective_mode(self.policy, workload)

    def lost(self, attached: Collection[str]) -> list[Workload]:
        """Return the containers that are attached again when they start, without the `attached` ones (ids)."""
        lost = self.memory.lost(attached)
        return [self.memory.with_mode(one.workload) for one in lost]

    def compile(self, joining: Workload | None = None) -> Compiled:
        """Return the policy compiled for the registry's workloads and `joining` (may be a new one)."""
        if self._compiler.written is not self.policy:
            self._compiler, self._compiled = Compiler(self.policy), None
        workloads = dict(self.registry.by_id)
        if joining is not None:
            workloads[joining.id] = joining
        # Compile once per change, for all callers.
        if self._compiled is None or self._compiled[0] != workloads:
            self._compiled = workloads, self._compiler.compile(workloads.values())
        return self._compiled[1]

    def compile_with(self, policy: Policy) -> Compiled:
        """Return the result of compiling another policy. The policy in force is not touched."""
        return Compiler(policy).compile(self.registry.all())

    def prepare(self, workload: Workload, port: Port) -> Compiled:
        """Teach the engine a port of a workload that need not be in the registry yet; return what it was taught."""

        def listeners() -> tuple[int, ...]:
            # The workload may have another process by then.
            now = self.registry.by_port(port.port_id) or workload
            return listening_ports(now.process)

        # Its frames are judged from now on, and the workload may end before it is registered.
        self.registry.names.note(workload.name, port)
        compiled = self.compile(workload)
        self.steering.prepare(compiled, port.port_id, workload.datapath, listeners)
        return compiled

    def steer(
        self, workload: Workload, port: Port, compiled: Compiled | None = None
    ) -> None:
        """Steer one prepared port of a workload that is in the registry. `compiled`: what `prepare` returned,
        when the port had no indexes yet.
        """
        if compiled is None:
            compiled = self.compile()
        pair = replace(
            compiled.pairs[port.port_id],
            vex_ifindex=port.vex_ifindex,
            vin_ifindex=port.vin_ifindex,
        )
        pairs = {**compiled.pairs, port.port_id: pair}
        compiled = replace(compiled, pairs=pairs)
        self.steering.add(port.port_id, compiled, workload.datapath)

    def move(self, workload: Workload) -> None:
        """Bring the ports of a workload to the datapath that it names by now."""
        pairs = self.compile().pairs
        for port in workload.ports:
            self.steering.move(pairs[port.port_id], workload.datapath)

    def note_uninspected(
        self, workload_id: str, found: tuple[Uninspected, ...]
    ) -> None:
        """Remember the workload's interfaces that are not inspected; forget it where there are none."""
        if found != self.uninspected.get(workload_id, ()):
            known = {**self.uninspected, workload_id: found}
            self.uninspected = {key: some for key, some in known.items() if some}

    def joined(self, port: Port) -> None:
        """Stop bpf_redirect_peer for a port whose host peer is the new port's vex. Within one namespace,
        bpf_redirect_peer loses frames.
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
        """Update engine and driver from registry and policy; return the number of ports with a new policy."""
        self.stale = True
        try:
            self._settle()
            changed = commit_in_order(self.steering, self.compile())
        except BaseException:
            self.on_due()
            raise
        self.stale = False
        return changed

    def _settle(self) -> None:
        """Decide whether the addresses that workloads gave themselves are theirs."""
        for workload_id, claims in settle(self.policy, self.registry.all()).items():
            workload = self.registry.by_id[workload_id]
            self.registry.put(replace(workload, claims=claims))
            news = [claim for claim in claims if claim not in workload.claims]
            lines = [
                f"it gave itself {claim.address} ({claim.interface}): {claim.state}"
                + (f", {claim.reason}" if claim.reason else "")
                for claim in news[:_CLAIMS_TOLD]
            ]
            if len(news) > _CLAIMS_TOLD:
                lines.append(f"and {len(news) - _CLAIMS_TOLD} more")
            for line in lines:
                self.happened(Event("lifecycle", line, workload=workload.name))
        for workload_id, lost in taken(self.registry.all()).items():
            workload = self.registry.by_id[workload_id]
            self.registry.put(replace(workload, taken=lost))

    def identity_warnings(self, workload: Workload) -> list[str]:
        """Return what an operator should know about the workload's addresses and options, a line each."""
        lines = [
            f"{ip} is shared by {' and '.join(names)}: where it is not on the bridge of "
            "one of them, it may do what each of them may"
            for ip, names in shared(self.registry.all()).items()
            if workload.name in names
        ]
        lines += [
            f"{ip} is in the group {group}: it may do what that may"
            for ip, group in in_groups(self.policy, workload).items()
        ]
        lines += [
            f"{claim.address} ({claim.interface}) is not its own: {claim.reason}"
            for claim in workload.claims
            if claim.state is ClaimState.REFUSED
        ]
        if workload.fail is Fail.OPEN and not workload.capabilities.fail_open:
            lines.append(
                f"the {workload.datapath} datapath fails closed in protect, whatever --fail says"
            )
        lines += PortNames(self.policy).warnings(workload, self.registry.all())
        if len(workload.given) > ADDRESSES_MAX:
            lines.append(
                f"it has {len(workload.given)} addresses: those after the first "
                f"{ADDRESSES_MAX} are not its own"
            )
        return lines

    def room_warnings(self) -> list[str]:
        """Return a warning if the state directory is full, so that history and modes are not kept."""
        place = self.instance.state_dir
        if not is_full(place):
            return []
        what = "no space is left for {}: history, and modes for the next start, are not kept"
        return [what.format(place)]

    def switch_offloads(self, workload: Workload) -> None:
        """Set the offloads of the workload's interfaces to what it asks for; update those of vbr-neuv too."""
        for port in workload.ports:
            switch_offloads(self.instance, workload.process, port, workload.offload)
        self.switch_bridge()

    def switch_bridge(self) -> None:
        """Switch the offloads of vbr-neuv off while any workload has its offloads off, else on."""
        loads = self.registry.all()
        off = any(load.offload is Offload.OFF for load in loads)
        if off is not self._bridge_off:
            switch_bridge(self.instance, Offload.OFF if off else Offload.ON)
            self._bridge_off = off

    def bridge_is_new(self) -> None:
        """Set the offloads of a vbr-neuv that was made anew."""
        self._bridge_off = None
        self.switch_bridge()

    def keep_or_drop(self, workload: Workload) -> None:
        """Put the workload into the registry; drop it if it has no ports and was attached with named interfaces."""
        if workload.ports or workload.all_interfaces:
            self.registry.put(workload)
        else:
            self.registry.drop(workload.id)

    def happened(self, event: Event) -> None:
        """Record an event and log it, unless it repeats one or its workload's log budget is spent."""
        self.history.record(events=[event])
        if not self.events.add(event):
            self.log_budget.repeats(event)
        elif self.log_budget.admits(event):
            _log_event(event)

    def log_sums(self) -> None:
        """Log how many events got no line of their own; called now and then."""
        for event in self.log_budget.sums():
            _log_event(event)


def _log_event(event: Event) -> None:
    _log.info(
        event.message,
        kind=event.kind,
        **{
            key: value
            for key, value in vars(event).items()
            if value is not None and key not in ("kind", "message", "time")
        },
    )

"""Policies and port pairs, out to the engine and the driver, in the order that never opens a hole.

In: workloads, the policy. Out: engine and driver calls. The order for a policy is: swap it in the
engine, publish its generation, wait until nothing judged by the old one can still be on its way.
For a new port it is: policy first, filters second, links up last (the splice does that).

The engine writes flow-map entries only for ports of a datapath with such a map. A port that leaves
it loses that right, and its entries, before its datapath goes, which then finds no entry and leaves
none; one that comes to it gets the right when the datapath stands. Without it every packet is asked
about, which is right on either side.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pyctl.agent.drivers import Drivers
from pyctl.agent.ids import Generations
from pyctl.agent.supervisor import Supervisor
from pyctl.datapath.base import Driver
from pyctl.engine.client import EngineClient
from pyctl.errors import SegctlError
from pyctl.model.policy import PortPolicy
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    Mode,
    OtherTraffic,
    Port,
    PortPair,
    Workload,
)
from pyctl.platform.bpf_grace import wait_for_programs
from pyctl.platform.filter_watch import Touched


def port_pair(workload: Workload, port: Port, mode: Mode) -> PortPair:
    """What the driver is to do for one port of a workload in `mode`."""
    passes = {
        OtherTraffic.PASS: True,
        OtherTraffic.DROP: False,
        OtherTraffic.AUTO: mode is not Mode.PROTECT,
    }
    return PortPair(
        port_id=port.port_id,
        vex_ifindex=port.vex_ifindex,
        vin_ifindex=port.vin_ifindex,
        mac=port.mac,
        host_mac=port.host_mac,
        kind=port.kind,
        mode=mode,
        fail=Fail.OPEN if workload.fail is Fail.OPEN else Fail.CLOSED,
        pass_other=passes[workload.other_traffic],
        any_source=workload.any_source,
        addresses=port.addresses,
    )


class Steering:
    """What the engine and the drivers were last told, and telling them what is new."""

    def __init__(self, drivers: Drivers, supervisor: Supervisor) -> None:
        self.drivers = drivers
        self._kinds: dict[int, DatapathKind] = {}
        self._uncached: set[int] = set()
        self._supervisor = supervisor
        self._generations = Generations()
        self._told: dict[int, PortPolicy] = {}
        self._pairs: dict[int, PortPair] = {}
        self._current: dict[int, int] = {}
        self._listeners: dict[int, Callable[[], Sequence[int]]] = {}
        supervisor.on_new_engine = self._teach

    def policy_of(self, port_id: int) -> tuple[PortPolicy | None, int]:
        """The policy in force for a port, and its generation (0: none)."""
        return self._told.get(port_id), self._current.get(port_id, 0)

    def differs(self, policies: Iterable[PortPolicy]) -> list[PortPolicy]:
        """Those that are not in force as they are."""
        told = (self._as_told(policy) for policy in policies)
        return [one for one in told if self._told.get(one.port_id) != one]

    def _as_told(self, policy: PortPolicy) -> PortPolicy:
        return replace(policy, cache=policy.port_id not in self._uncached)

    def _may_cache(self, port_id: int, kind: DatapathKind) -> None:
        """From the next swap of its policy on."""
        if kind is DatapathKind.EBPF:
            self._uncached.discard(port_id)
        else:
            self._uncached.add(port_id)

    def prepare(
        self,
        policy: PortPolicy,
        kind: DatapathKind,
        listeners: Callable[[], Sequence[int]],
    ) -> None:
        """Teach the engine a port before it exists, so that nothing is left to be said while its
        workload is cut off. `listeners` gives the TCP ports that the workload listens on: by
        them a fresh engine knows the server of a connection that was open before.
        """
        self._listeners[policy.port_id] = listeners
        self._may_cache(policy.port_id, kind)
        self._swap([policy])
        self._tell_listeners(policy.port_id)

    def add(self, pair: PortPair, policy: PortPolicy, kind: DatapathKind) -> None:
        """A prepared pair, new (its links still down) or found steered: from its next packet on,
        the policy holds.
        """
        try:
            self._may_cache(pair.port_id, kind)
            self._swap(self.differs([policy]))
            self._kinds[pair.port_id] = kind
            former = self.drivers.holder(pair.port_id, besides=kind)
            if former is not None:
                # An agent ended while it moved the port.
                self.drivers.hand_over(pair, former, kind)
            self.drivers.attach(pair, kind)
            self._publish([policy])
            self._pairs[pair.port_id] = pair
        except BaseException:
            self.remove(pair.port_id)
            raise

    def remove(self, port_id: int) -> None:
        """Nothing of the pair is left in driver or engine. Idempotent."""
        try:
            self.drivers.detach(port_id, self._kinds.get(port_id))
        finally:
            known: dict[int, Any]
            for known in (
                self._told,
                self._current,
                self._pairs,
                self._listeners,
                self._kinds,
            ):
                known.pop(port_id, None)
            self._uncached.discard(port_id)
            self._supervisor.tell(lambda engine: engine.port_delete(port_id))

    def move(self, pair: PortPair, kind: DatapathKind) -> None:
        """A steered port to another datapath: no packet lost, none past the rules of either."""
        former = self._kinds[pair.port_id]
        if former is kind:
            return
        self._kinds[pair.port_id] = kind
        try:
            self._hand_over(pair, former, kind)
        except BaseException:
            self._kinds[pair.port_id] = former
            with contextlib.suppress(SegctlError):
                self._hand_over(pair, kind, former)
            raise
        self._pairs[pair.port_id] = pair

    def _hand_over(
        self, pair: PortPair, former: DatapathKind, kind: DatapathKind
    ) -> None:
        policy = self._told[pair.port_id]
        # Whichever way it goes: no entry is made while one datapath comes and the other goes.
        self._uncached.add(pair.port_id)
        self._swap(self.differs([policy]))
        self.drivers.hand_over(pair, former, kind)
        self._may_cache(pair.port_id, kind)
        self._swap(self.differs([policy]))
        self._publish([policy])

    def repair(self, touched: Collection[Touched] | None) -> list[str]:
        """Put right what strangers did to rules of the kernel; a line for each rule. Only where
        something was touched; None: anywhere.
        """
        pairs = [
            (pair, self._kinds[port_id])
            for port_id, pair in self._pairs.items()
            if port_id in self._kinds
        ]
        return self.drivers.repair(pairs, touched) if pairs else []

    def _driver(self, port_id: int) -> Driver:
        return self.drivers.of(self._kinds[port_id])

    def change(self, policies: list[PortPolicy], pairs: list[PortPair]) -> None:
        """Policies and pairs of ports that are steered. On return no packet is judged, or
        carried, by what was before. Where it tightens, the engine comes first; a switch in the
        kernel alone (quarantine, fail mode) is a map write and holds at once.
        """
        for pair in pairs:
            # One whose detach failed half-way is in the registry still, and steered by nobody.
            steered = pair.port_id in self._kinds
            if steered and self._pairs.get(pair.port_id) != pair:
                self._driver(pair.port_id).update(pair)
                self._pairs[pair.port_id] = pair
        changed = self.differs(policies)
        if not changed:
            return
        self._swap(changed)
        self._publish(changed)
        # The grace period: programs that read the old generation end, then the frames that
        # they sent to the engine are judged.
        wait_for_programs()
        self._supervisor.tell(lambda engine: engine.sync())

    def _swap(self, policies: list[PortPolicy]) -> None:
        for policy in map(self._as_told, policies):
            self._told[policy.port_id] = policy
            self._current[policy.port_id] = generation = self._generations.next()
            self._supervisor.tell(_policy_set(generation, policy))

    def _tell_listeners(self, port_id: int) -> None:
        ports = self._listeners[port_id]()
        self._supervisor.tell(lambda engine: engine.listeners_set(port_id, ports))

    def _publish(self, policies: list[PortPolicy]) -> None:
        for policy in policies:
            port_id = policy.port_id
            # One that is only prepared is published when it is added.
            if port_id in self._kinds:
                generation = self._current[port_id]
                self._driver(port_id).publish_generation(port_id, generation)

    def _teach(self) -> None:
        """A new engine knows nothing: all policies again, under new generations, because flows
        that the former one cached have no session behind them any more.
        """
        policies = list(self._told.values())
        self._swap(policies)
        for port_id in self._listeners:
            self._tell_listeners(port_id)
        self._publish(policies)


def _policy_set(generation: int, policy: PortPolicy) -> Callable[[EngineClient], None]:
    return lambda engine: engine.policy_set(generation, policy)

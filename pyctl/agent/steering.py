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
from pyctl.engine.node_records import changed_members
from pyctl.errors import SegctlError
from pyctl.model.policy import Members, PortPolicy
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
from pyctl.policy.compile import Compiled
from pyctl.policy.concern import concerned


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
        self._world: Compiled | None = None
        """Rules and members as the engine has them; None: it was told of none."""
        self._doubtful = False
        self._pairs: dict[int, PortPair] = {}
        self._current: dict[int, int] = {}
        self._listeners: dict[int, Callable[[], Sequence[int]]] = {}
        supervisor.on_new_engine = self._teach

    def policy_of(self, port_id: int) -> tuple[PortPolicy | None, int]:
        """The policy in force for a port, and its generation (0: none)."""
        return self._told.get(port_id), self._current.get(port_id, 0)

    @property
    def world(self) -> Compiled:
        """Rules and members in force."""
        return self._world or Compiled()

    def changes(self, compiled: Compiled) -> list[PortPolicy]:
        """The policies of the ports that would be judged otherwise, or have another mode."""
        found = {one.port_id for one in self.differs(compiled.ports.values())}
        found |= concerned(self.world, compiled)
        return [one for port_id, one in compiled.ports.items() if port_id in found]

    def differs(self, policies: Iterable[PortPolicy]) -> list[PortPolicy]:
        """Those whose mode, default or options are not in force as they are."""
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
        compiled: Compiled,
        port_id: int,
        kind: DatapathKind,
        listeners: Callable[[], Sequence[int]],
    ) -> None:
        """Teach the engine a port before it exists, so that nothing is left to be said while its
        workload is cut off; the others hear of its addresses by the next change(). `listeners`
        gives the TCP ports that the workload listens on: by them a fresh engine knows the server of
        a connection that was open before.
        """
        self._listeners[port_id] = listeners
        self._may_cache(port_id, kind)
        self._join(compiled, port_id)
        self._swap([compiled.ports[port_id]])
        self._tell_listeners(port_id)

    def _join(self, compiled: Compiled, port_id: int) -> None:
        """The port's workload is in its groups, for the port's own side. All of it where the engine
        has other rules: one that an agent left before it had taught it was told of none.
        """
        if self._world is None or self._world.node != compiled.node:
            self._tell_world(compiled, [])
            return
        groups = compiled.members.ports[port_id]
        before = self._world.members
        if before.ports.get(port_id) == groups:
            return
        members = Members({**before.ports, port_id: groups}, before.addresses)
        own = {**self._world.own, port_id: compiled.own[port_id]}
        self._tell_world(replace(self._world, members=members, own=own), [])

    def add(self, pair: PortPair, compiled: Compiled, kind: DatapathKind) -> None:
        """A prepared pair, new (its links still down) or found steered: from its next packet on,
        the policy holds.
        """
        policy = compiled.ports[pair.port_id]
        try:
            self._may_cache(pair.port_id, kind)
            self._join(compiled, pair.port_id)
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
            if self._world is not None:
                former = self._world.members
                left = {key: of for key, of in former.ports.items() if key != port_id}
                members = Members(left, former.addresses)
                self._world = replace(self._world, members=members)
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

    def change(self, compiled: Compiled, pairs: list[PortPair]) -> int:
        """Rules, members, policies and pairs as they are by now; gives how many ports are judged
        otherwise. On return no packet of these is judged, or carried, by what was before. Where it
        tightens, the engine comes first; a switch in the kernel alone (quarantine, fail mode) is a
        map write and holds at once.
        """
        for pair in pairs:
            # One whose detach failed half-way is in the registry still, and steered by nobody.
            steered = pair.port_id in self._kinds
            if steered and self._pairs.get(pair.port_id) != pair:
                # One that a driver refused is unknown until it takes the next.
                self._pairs.pop(pair.port_id, None)
                self._driver(pair.port_id).update(pair)
                self._pairs[pair.port_id] = pair
        changed = self.changes(compiled)
        former = self._world
        if (
            self._doubtful
            or former is None
            or former.node != compiled.node
            or former.members != compiled.members
        ):
            self._tell_world(compiled, self._stamped(changed))
        else:
            self._swap(changed)
        if not changed:
            return 0
        self._publish(changed)
        # The grace period: programs that read the old generation end, then the frames that
        # they sent to the engine are judged.
        wait_for_programs()
        self._supervisor.tell(lambda engine: engine.sync())
        return len(changed)

    def _stamped(self, policies: Iterable[PortPolicy]) -> list[tuple[PortPolicy, int]]:
        """As they are told, each with a new generation, and remembered so."""
        stamped = []
        for policy in map(self._as_told, policies):
            self._told[policy.port_id] = policy
            self._current[policy.port_id] = generation = self._generations.next()
            stamped.append((policy, generation))
        return stamped

    def _tell_world(
        self, compiled: Compiled, policies: list[tuple[PortPolicy, int]]
    ) -> None:
        """Rules whole where they are others; else those who changed group. With the policies, all
        of it holds between two packets.
        """
        former, self._world = self._world, compiled
        node, members = compiled.node, compiled.members
        whole = self._doubtful or former is None or former.node != node
        # Until it is done: an engine that refused half of it is told all of it the next time.
        self._doubtful = True
        if whole:
            self._supervisor.tell(
                lambda engine: engine.node_set(node, members, policies)
            )
        elif former is not None:
            moved = changed_members(former.members, members)
            self._supervisor.tell(
                lambda engine: engine.members_set(node, moved, policies)
            )
        self._doubtful = False

    def _swap(self, policies: list[PortPolicy]) -> None:
        for policy, generation in self._stamped(policies):
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
        stamped = self._stamped(policies)
        self._doubtful = True
        self._tell_world(self.world, stamped)
        for port_id in self._listeners:
            self._tell_listeners(port_id)
        self._publish(policies)


def _policy_set(generation: int, policy: PortPolicy) -> Callable[[EngineClient], None]:
    return lambda engine: engine.policy_set(generation, policy)

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
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from typing import Any

import structlog

from pyctl.datapath.base import Driver
from pyctl.datapath.drivers import Drivers
from pyctl.engine.client import EngineClient
from pyctl.engine.node_records import changed_members
from pyctl.engine.supervisor import Supervisor
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.policy import Members, PortPolicy
from pyctl.model.workload import DatapathKind, Mode, PortPair, Segment
from pyctl.platform.bpf.grace import wait_for_programs
from pyctl.platform.watch.filters import Touched
from pyctl.policy.compile.affected_ports import affected_ports
from pyctl.policy.compile.compiler import Compiled, difference
from pyctl.state.ids import Generations

_log = structlog.get_logger()


class Steering:
    """What the engine and the drivers were last told, and telling them what is new."""

    def __init__(self, drivers: Drivers, supervisor: Supervisor) -> None:
        self.drivers = drivers
        self._kinds: dict[int, DatapathKind] = {}
        self._uncached: set[int] = set()
        self._supervisor = supervisor
        self._generations = Generations()
        self._policies: dict[int, PortPolicy] = {}
        self._applied: Compiled | None = None
        """Rules and members as the engine has them; None: it was told of none."""
        self._engine_dirty = False
        self._pairs: dict[int, PortPair] = {}
        self._current: dict[int, int] = {}
        self._unpublished: set[int] = set()
        """Ports whose policy is not known to hold in the engine and in the kernel: where either refuses,
        the next change comes to them again."""
        self._listeners: dict[int, Callable[[], Sequence[int]]] = {}
        self.segments: Mapping[int, Segment] = {}
        """The host's bridges, by their numbers."""
        self._in_front: dict[int, list[str]] = {}
        """Filters of others, as told last."""
        supervisor.on_new_engine = self._resync_engine

    def policy_of(self, port_id: int) -> tuple[PortPolicy | None, int]:
        """The policy in force for a port, and its generation (0: none)."""
        return self._policies.get(port_id), self._current.get(port_id, 0)

    def generations(self) -> dict[int, int]:
        """Return the generation of the policy in force, by port id."""
        return dict(self._current)

    @property
    def applied(self) -> Compiled:
        """Rules and members in force."""
        return self._applied or Compiled()

    def changes(self, compiled: Compiled) -> list[PortPolicy]:
        """The policies of the ports that would be judged otherwise, or have another mode, or whose
        last change failed. Only those of workloads that are others than the world in force has are
        looked at.
        """
        ports, where = compiled.ports, difference(self.applied, compiled).ports
        heads = self.differs(ports[key] for key in where if key in ports)
        found = {one.port_id for one in heads} | affected_ports(self.applied, compiled)
        found |= self._unpublished & self._kinds.keys()
        return [ports[port_id] for port_id in sorted(found & ports.keys())]

    def differs(self, policies: Iterable[PortPolicy]) -> list[PortPolicy]:
        """Those whose mode, default or options are not in force as they are."""
        told = (self._as_told(policy) for policy in policies)
        return [one for one in told if self._policies.get(one.port_id) != one]

    def _as_told(self, policy: PortPolicy) -> PortPolicy:
        return replace(policy, cache=policy.port_id not in self._uncached)

    def _may_cache(self, port_id: int, kind: DatapathKind) -> None:
        """From the next swap of its policy on."""
        if kind.capabilities.verdict_cache:
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
        self._tell_listeners(port_id)

    def _join(self, compiled: Compiled, port_id: int) -> None:
        """The port's head is told, and its workload is in its groups, for the port's own side. All of
        it where the engine has other rules: one that an agent left before it had taught it was told of
        none; one whose last change failed has those of another policy, for every port.
        """
        policies = self.differs([compiled.ports[port_id]])
        world = self._applied
        if world is None:
            self._tell_all(compiled, policies, None)
            return
        if not _same_rules(world, compiled):
            others = self.changes(compiled)
            policies += [one for one in others if one.port_id in self._kinds]
            self._tell_all(compiled, policies, None)
            self._publish()
            return
        groups = {port_id: compiled.members.ports[port_id]}
        joined = changed_members(world.members, Members(groups), groups, ())
        if joined.ports:
            ports = {**world.members.ports, **joined.ports}
            own = {**world.own, port_id: compiled.own[port_id]}
            members = replace(world.members, ports=ports)
            joining = replace(world, members=members, own=own)
            self._tell_all(joining, policies, joined)
        else:
            self._swap(policies)

    def add(self, port_id: int, compiled: Compiled, kind: DatapathKind) -> None:
        """A prepared port, new (its links still down) or found steered: from its next packet on,
        the policy holds. What fails takes it out of driver and engine. A signal that ends the agent does not:
        a found port goes on as it was steered, and whoever makes a new one takes that away.
        """
        pair = compiled.pairs[port_id]
        try:
            self._may_cache(port_id, kind)
            self._join(compiled, port_id)
            self._kinds[port_id] = kind
            former = self.drivers.holder(port_id, besides=kind)
            if former is not None:
                # An agent ended while it moved the port.
                self.drivers.hand_over(pair, former, kind)
            self.drivers.attach(pair, kind)
            self._publish()
            self._pairs[port_id] = pair
            self._tell_owners(compiled)
        except Exception:
            self.remove(port_id)
            raise

    def remove(self, port_id: int) -> None:
        """Nothing of the pair is left in driver or engine. Idempotent."""
        try:
            self.drivers.detach(port_id, self._kinds.get(port_id))
        finally:
            known: dict[int, Any]
            for known in (
                self._policies,
                self._current,
                self._pairs,
                self._listeners,
                self._kinds,
                self._in_front,
            ):
                known.pop(port_id, None)
            self._uncached.discard(port_id)
            self._unpublished.discard(port_id)
            if self._applied is not None:
                left = dict(self._applied.members.ports)
                left.pop(port_id, None)
                members = replace(self._applied.members, ports=left)
                self._applied = replace(self._applied, members=members)
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
        policy = self._policies[pair.port_id]
        # Whichever way it goes: no entry is made while one datapath comes and the other goes.
        self._uncached.add(pair.port_id)
        self._swap(self.differs([policy]))
        self.drivers.hand_over(pair, former, kind)
        self._may_cache(pair.port_id, kind)
        self._swap(self.differs([policy]))
        self._publish()

    def repair(self, touched: Collection[Touched] | None) -> list[str]:
        """Put right what strangers did to rules of the kernel; a line for each rule. Only where
        something was touched; None: anywhere.
        """
        pairs = self._steered()
        return self.drivers.repair(pairs, touched) if pairs else []

    def foreign_filters(
        self, touched: Collection[Touched] | None
    ) -> Iterator[tuple[int, str]]:
        """What is new of others' filters in front of ours, by port: those that came, and that
        those told before are gone. Where something was touched; None: anywhere.
        """
        for port_id, lines in self.drivers.in_front(self._steered(), touched).items():
            before = self._in_front.get(port_id, [])
            self._in_front[port_id] = lines
            for line in lines:
                if line not in before:
                    yield port_id, line
            for line in before:
                if line not in lines:
                    yield port_id, f"no longer {line}"

    def _steered(self) -> list[tuple[PortPair, DatapathKind]]:
        return [
            (pair, self._kinds[port_id])
            for port_id, pair in self._pairs.items()
            if port_id in self._kinds
        ]

    def _driver(self, port_id: int) -> Driver:
        return self.drivers.of(self._kinds[port_id])

    def change(self, compiled: Compiled) -> int:
        """Rules, members, policies and pairs as they are by now; gives how many ports are judged
        otherwise. On return no packet of these is judged, or carried, by what was before. The kernel
        comes first: quarantine and the fail policy hold there by a map write, and in a mode that holds
        packets the engine's next word on each counts.
        """
        former, where = self.applied, difference(self.applied, compiled)
        # One that a driver refused is unknown until it takes the next.
        unknown = self._kinds.keys() - self._pairs.keys()
        touched = (where.ports | unknown) & compiled.pairs.keys()
        failed = self._update_all(compiled.pairs[key] for key in touched)
        self._tell_owners(compiled)
        changed = self.changes(compiled)
        moved = changed_members(
            former.members, compiled.members, where.ports, where.addresses
        )
        if self._engine_dirty or not _same_rules(self._applied, compiled):
            self._tell_all(compiled, changed, None)
        elif moved.ports or moved.addresses or moved.shared:
            self._tell_all(compiled, changed, moved)
        else:
            self._applied = compiled
            self._swap(changed)
        if failed is not None:
            self._publish()
            raise failed
        if not changed:
            return 0
        self._publish()
        # The grace period: programs that read the old generation end, then the frames that
        # they sent to the engine are judged.
        wait_for_programs()
        self._supervisor.tell(lambda engine: engine.sync())
        return len(changed)

    def _update_all(self, pairs: Iterable[PortPair]) -> SegctlError | None:
        """Quarantine first; a port whose driver refuses keeps none of the others from theirs. Gives the
        first refusal.
        """
        failed = None
        for pair in sorted(
            pairs, key=lambda one: (one.mode is not Mode.QUARANTINE, one.port_id)
        ):
            try:
                self._update(pair)
            except SegctlError as error:
                failed = failed or error
        return failed

    def _tell_owners(self, compiled: Compiled) -> None:
        """What does not fit in the kernel's maps is told once: policy and quarantine hold without."""
        try:
            self.drivers.tell_owners(compiled.pairs, self.segments, compiled.node.cidrs)
        except RefusedError as error:
            _log.error("not all addresses are guarded", error=str(error))

    def _update(self, pair: PortPair) -> None:
        port_id = pair.port_id
        # One whose detach failed half-way is in the registry still, and steered by nobody.
        if port_id in self._kinds and self._pairs.get(port_id) != pair:
            self._pairs.pop(port_id, None)
            self._driver(port_id).update(pair)
            self._pairs[port_id] = pair

    def _stamped(self, policies: Iterable[PortPolicy]) -> list[tuple[PortPolicy, int]]:
        """As they are told, each with a new generation, and remembered so."""
        stamped = []
        for policy in map(self._as_told, policies):
            self._policies[policy.port_id] = policy
            self._current[policy.port_id] = generation = self._generations.next()
            self._unpublished.add(policy.port_id)
            stamped.append((policy, generation))
        return stamped

    def _tell_all(
        self, compiled: Compiled, policies: Iterable[PortPolicy], moved: Members | None
    ) -> None:
        """Those who changed group; None: rules and members whole. With the policies, all of it holds
        between two packets.
        """
        node, stamped = compiled.node, self._stamped(policies)
        if self._engine_dirty:
            moved = None
        self._applied = compiled
        # Until it is done: an engine that refused half of it is told all of it the next time.
        self._engine_dirty = True
        if moved is None:
            self._supervisor.tell(
                lambda engine: engine.node_set(node, compiled.members, stamped)
            )
        else:
            self._supervisor.tell(
                lambda engine: engine.members_set(node, moved, stamped)
            )
        self._engine_dirty = False

    def _swap(self, policies: list[PortPolicy]) -> None:
        for policy, generation in self._stamped(policies):
            self._supervisor.tell(_policy_set(generation, policy))

    def _tell_listeners(self, port_id: int) -> None:
        ports = self._listeners[port_id]()
        self._supervisor.tell(lambda engine: engine.listeners_set(port_id, ports))

    def _publish(self) -> None:
        """What the engine was told. One that is only prepared is published when it is added."""
        due: dict[DatapathKind, dict[int, int]] = {}
        for port_id in sorted(self._unpublished & self._kinds.keys()):
            of_kind = due.setdefault(self._kinds[port_id], {})
            of_kind[port_id] = self._current[port_id]
        for kind, generations in due.items():
            self.drivers.of(kind).publish(generations)
            self._unpublished -= generations.keys()

    def _resync_engine(self) -> None:
        """A new engine knows nothing: all policies again, under new generations, because flows
        that the former one cached have no session behind them any more.
        """
        policies = list(self._policies.values())
        self._tell_all(self.applied, policies, None)
        for port_id in self._listeners:
            self._tell_listeners(port_id)
        self._publish()


def _same_rules(world: Compiled | None, compiled: Compiled) -> bool:
    """What the engine has is of these very rules, so that the rest can be told as a delta."""
    if world is None:
        return False
    return world.node is compiled.node or world.node == compiled.node


def _policy_set(generation: int, policy: PortPolicy) -> Callable[[EngineClient], None]:
    return lambda engine: engine.policy_set(generation, policy)

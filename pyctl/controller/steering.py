"""What the engine and the drivers were last told, port by port, and each call that tells them what is new.

In: compiled policies, port pairs. Out: engine and driver calls. The order of those that make one change is
commit_order's; of a new port it is: policy first (prepare), filters second (add), links up last (the splice does
that).

The engine writes flow-map entries only for ports of a datapath with such a map. A port that leaves it loses
that right, and its entries, before its datapath goes, which then finds no entry and leaves none; one that
comes to it gets the right when the datapath stands. Without the right, the engine is asked about every
packet, which is correct on either datapath.
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
from pyctl.engine.workers import Workers
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.policy import Members, PortPolicy
from pyctl.model.workload import DatapathKind, Mode, PortPair, Segment
from pyctl.platform.patterns.vectorscan import compile_sensors
from pyctl.platform.watch.filters import Touched
from pyctl.policy.compile.affected_ports import affected_ports
from pyctl.policy.compile.compiler import Compiled, Difference, difference
from pyctl.state.ids import Generations

_log = structlog.get_logger()


class Steering:
    """What the engine and the drivers were last told, and the calls that tell them what is new."""

    def __init__(self, drivers: Drivers, engines: Workers) -> None:
        self.drivers = drivers
        self._kinds: dict[int, DatapathKind] = {}
        self._uncached: set[int] = set()
        self._engines = engines
        self._generations = Generations()
        self._policies: dict[int, PortPolicy] = {}
        self._applied: Compiled | None = None
        """Rules and members as the engine has them; None: it has none."""
        self._engine_dirty = False
        self._pairs: dict[int, PortPair] = {}
        self._current: Mapping[int, int] = {}
        """By port id: the generation of its policy. Replaced on change, never altered."""
        self._unpublished: set[int] = set()
        """Ports whose policy may not hold in the engine or in the kernel, because one of them refused; the
        next change includes them again."""
        self._listeners: dict[int, Callable[[], Sequence[int]]] = {}
        self.segments: Mapping[int, Segment] = {}
        """The host's bridges, by their numbers."""
        self._in_front: dict[int, list[str]] = {}
        """The lines reported last about others' filters, by port id."""
        engines.teach_with(self._resync_engine)

    @property
    def generations(self) -> Mapping[int, int]:
        """Return the generation of the policy in force, by port id; the same object until one changes."""
        return self._current

    @property
    def applied(self) -> Compiled:
        """Return the rules and members in force."""
        return self._applied or Compiled()

    def changes(self, compiled: Compiled) -> list[PortPolicy]:
        """Return the policies of the ports whose verdicts or mode would change, or whose last change failed.
        It looks only at workloads that differ from those in force.
        """
        ports, where = compiled.ports, difference(self.applied, compiled).ports
        heads = self.differs(ports[key] for key in where if key in ports)
        found = {one.port_id for one in heads} | affected_ports(self.applied, compiled)
        found |= self._unpublished & self._kinds.keys()
        return [ports[port_id] for port_id in sorted(found & ports.keys())]

    def differs(self, policies: Iterable[PortPolicy]) -> list[PortPolicy]:
        """Return the policies whose mode, default or options are not in force yet."""
        told = (self._as_told(policy) for policy in policies)
        return [one for one in told if self._policies.get(one.port_id) != one]

    def _as_told(self, policy: PortPolicy) -> PortPolicy:
        return replace(policy, cache=policy.port_id not in self._uncached)

    def _may_cache(self, port_id: int, kind: DatapathKind) -> None:
        """Record whether the port's datapath has a verdict cache; the engine learns it with the policy's next
        swap.
        """
        if self.drivers.capabilities(kind).verdict_cache:
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
        """Teach the engine a port before it exists, so that its workload is cut off for less time. The other
        ports learn its addresses with the next commit. `listeners` returns the TCP ports that the workload
        listens on: a fresh engine uses them to find the server of a connection that was open before.
        """
        self._listeners[port_id] = listeners
        self._may_cache(port_id, kind)
        self._join(compiled, port_id)
        self._set_listeners(port_id)

    def _join(self, compiled: Compiled, port_id: int) -> None:
        """Send the engine the port's policy and its workload's groups, for this port only. Send all rules if
        the engine has others: after a restart it may have none, after a failed change those of another
        policy.
        """
        policies = self.differs([compiled.ports[port_id]])
        world = self._applied
        if world is None:
            self._set_policies(compiled, policies, None)
            return
        if not _same_rules(world, compiled):
            others = self.changes(compiled)
            policies += [one for one in others if one.port_id in self._kinds]
            self._set_policies(compiled, policies, None)
            self.publish()
            return
        groups = {port_id: compiled.members.ports[port_id]}
        joined = changed_members(world.members, Members(groups), groups, ())
        if joined.ports:
            ports = {**world.members.ports, **joined.ports}
            own = {**world.own, port_id: compiled.own[port_id]}
            members = replace(world.members, ports=ports)
            joining = replace(world, members=members, own=own)
            self._set_policies(joining, policies, joined)
        else:
            self._swap(policies)

    def add(self, port_id: int, compiled: Compiled, kind: DatapathKind) -> None:
        """Attach a prepared port to its driver and publish its policy, which holds from its next packet on. A
        port that fails is removed from driver and engine. A signal that ends the agent removes nothing: a
        found port stays steered, and the caller removes a new one.
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
            self.publish()
            self._pairs[port_id] = pair
            self.write_owners(compiled)
        except Exception:
            self.remove(port_id)
            raise

    def remove(self, port_id: int) -> None:
        """Remove the port pair from driver and engine. Idempotent."""
        try:
            self.drivers.detach(port_id, self._kinds.get(port_id))
        finally:
            known: dict[int, Any]
            for known in (
                self._policies,
                self._pairs,
                self._listeners,
                self._kinds,
                self._in_front,
            ):
                known.pop(port_id, None)
            if port_id in self._current:
                self._current = {
                    key: one for key, one in self._current.items() if key != port_id
                }
            self._uncached.discard(port_id)
            self._unpublished.discard(port_id)
            if self._applied is not None:
                left = dict(self._applied.members.ports)
                left.pop(port_id, None)
                members = replace(self._applied.members, ports=left)
                self._applied = replace(self._applied, members=members)
            self._engines.call_engine(lambda engine: engine.port_delete(port_id))

    def move(self, pair: PortPair, kind: DatapathKind) -> None:
        """Move a steered port to another datapath, without packet loss or packets that pass unjudged."""
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
        # No flow-map entry may be made while one datapath comes and the other goes, by the engine or by a
        # program that knows a service of the former generation.
        self._uncached.add(pair.port_id)
        self._swap(self.differs([policy]))
        self.drivers.of(former).publish({pair.port_id: self._current[pair.port_id]})
        self.drivers.hand_over(pair, former, kind)
        self._may_cache(pair.port_id, kind)
        self._swap(self.differs([policy]))
        self.publish()

    def repair(
        self, touched: Collection[Touched] | None
    ) -> tuple[list[str], list[str]]:
        """Repair kernel rules that others changed; return a line for each rule, and for each that failed.
        `touched` limits the ports; None: all ports.
        """
        pairs = self._steered()
        return self.drivers.repair(pairs, touched) if pairs else ([], [])

    def foreign_filters(
        self, touched: Collection[Touched] | None
    ) -> Iterator[tuple[int, str]]:
        """Yield what is new about others' filters in front of ours, by port: filters that came and filters
        that went. `touched` limits the ports; None: all ports.
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

    def update_pairs(
        self, compiled: Compiled, ports: Collection[int]
    ) -> SegctlError | None:
        """Update the drivers for these ports, quarantine first; return the first refusal. A refusal for one
        port does not stop the others.
        """
        # A pair that a driver refused is unknown until it takes the next one.
        unknown = self._kinds.keys() - self._pairs.keys()
        pairs = [
            compiled.pairs[key] for key in {*ports, *unknown} & compiled.pairs.keys()
        ]
        pairs.sort(key=lambda one: (one.mode is not Mode.QUARANTINE, one.port_id))
        failed = None
        for pair in pairs:
            try:
                self._update(pair)
            except SegctlError as error:
                failed = failed or error
        return failed

    def tell_engine(
        self, compiled: Compiled, changed: list[PortPolicy], where: Difference
    ) -> None:
        """Send the engine these policies, and who changed group; all rules if it has others."""
        former = self.applied.members
        moved = changed_members(former, compiled.members, where.ports, where.addresses)
        if self._engine_dirty or not _same_rules(self._applied, compiled):
            self._set_policies(compiled, changed, None)
        elif moved.ports or moved.addresses or moved.shared:
            self._set_policies(compiled, changed, moved)
        else:
            self._applied = compiled
            self._swap(changed)

    def drain_engine(self) -> None:
        """Wait until the engine has judged the frames that it was sent so far."""
        self._engines.call_engine(lambda engine: engine.sync())

    def write_owners(self, compiled: Compiled) -> None:
        """Tell the drivers who owns which address. A full map is logged: policy and quarantine still hold."""
        try:
            self.drivers.write_owners(
                compiled.pairs, self.segments, compiled.node.cidrs
            )
        except RefusedError as error:
            _log.error("not all addresses are guarded", error=str(error))

    def _update(self, pair: PortPair) -> None:
        port_id = pair.port_id
        # A port whose detach failed half-way is still in the registry, but nobody steers it.
        if port_id in self._kinds and self._pairs.get(port_id) != pair:
            self._pairs.pop(port_id, None)
            self._driver(port_id).update(pair)
            self._pairs[port_id] = pair

    def _stamped(self, policies: Iterable[PortPolicy]) -> list[tuple[PortPolicy, int]]:
        """Give each policy a new generation, remember both and return the pairs."""
        stamped = [
            (one, self._generations.next()) for one in map(self._as_told, policies)
        ]
        new = {policy.port_id: generation for policy, generation in stamped}
        self._policies |= {policy.port_id: policy for policy, _ in stamped}
        self._unpublished |= new.keys()
        if new:
            self._current = {**self._current, **new}
        return stamped

    def _set_policies(
        self, compiled: Compiled, policies: Iterable[PortPolicy], moved: Members | None
    ) -> None:
        """Send members and policies to the engine, which applies them between two packets. `moved`: only who
        changed group; None: all rules and members.
        """
        node, stamped = compiled.node, self._stamped(policies)
        if self._engine_dirty:
            moved = None
        self._applied = compiled
        # Stays set on an error: an engine that refused half of it is told all of it next time.
        self._engine_dirty = True
        if moved is None:
            patterns = compile_sensors(node.sensors)
            self._engines.call_engine(
                lambda engine: engine.node_set(
                    node, compiled.members, stamped, patterns
                )
            )
        else:
            self._engines.call_engine(
                lambda engine: engine.members_set(node, moved, stamped)
            )
        self._engine_dirty = False

    def _swap(self, policies: list[PortPolicy]) -> None:
        for policy, generation in self._stamped(policies):
            self._engines.call_engine(_policy_set(generation, policy))

    def _set_listeners(self, port_id: int) -> None:
        self._engines.call_engine(_listeners_set(port_id, self._listeners[port_id]()))

    def publish(self) -> None:
        """Publish the generations that the engine has. Ports that are only prepared wait until `add`."""
        due: dict[DatapathKind, dict[int, int]] = {}
        for port_id in sorted(self._unpublished & self._kinds.keys()):
            of_kind = due.setdefault(self._kinds[port_id], {})
            of_kind[port_id] = self._current[port_id]
        for kind, generations in due.items():
            self.drivers.of(kind).publish(generations)
            self._unpublished -= generations.keys()

    def _resync_engine(self, engine: Supervisor) -> None:
        """Teach a new engine what all have been told, under the generations that the others have. The entries of
        the former engine's flows are gone: it was started with its flow maps cleared.
        """
        world = self.applied
        stamped = [
            (policy, self._current[port_id])
            for port_id, policy in self._policies.items()
        ]
        patterns = compile_sensors(world.node.sensors)
        engine.call_engine(
            lambda client: client.node_set(world.node, world.members, stamped, patterns)
        )
        for port_id, listeners in self._listeners.items():
            engine.call_engine(_listeners_set(port_id, listeners()))
        self.publish()


def _same_rules(world: Compiled | None, compiled: Compiled) -> bool:
    """Return whether the engine has exactly these rules, so that the rest can be sent as a delta."""
    if world is None:
        return False
    return world.node is compiled.node or world.node == compiled.node


def _listeners_set(
    port_id: int, ports: Sequence[int]
) -> Callable[[EngineClient], None]:
    return lambda engine: engine.listeners_set(port_id, ports)


def _policy_set(generation: int, policy: PortPolicy) -> Callable[[EngineClient], None]:
    return lambda engine: engine.policy_set(generation, policy)

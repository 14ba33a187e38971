"""One node's agent: which workloads are attached, in which mode, under which policy.

In: orders. Out: results, and the kernel made to match. One lock orders all changes; reading takes
none, because the values are frozen and replaced whole.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import structlog

from pyctl.agent.config import DEFAULT, Config
from pyctl.agent.inventory import Inventory, Listed
from pyctl.controller import recovery
from pyctl.controller.commit_policy import put_in_force
from pyctl.controller.context import Context
from pyctl.controller.steering import Steering
from pyctl.controller.turns import Turns
from pyctl.controller.workloads import attach as attaching
from pyctl.controller.workloads import detach as detaching
from pyctl.controller.workloads import uninspected
from pyctl.controller.workloads.in_netns import workload_in_netns
from pyctl.datapath.drivers import Drivers
from pyctl.engine.supervisor import Supervisor
from pyctl.errors import NotFoundError, SegctlError, UsageError
from pyctl.intercept.enforcer import ensure_enforcer, remove_enforcer
from pyctl.intercept.live_state import present_ports
from pyctl.model.instance import Instance
from pyctl.model.text import harmless
from pyctl.model.workload import Mode, ProcessRef, Workload
from pyctl.observe.auto_attach import AutoAttacher
from pyctl.observe.engine_watch import EngineWatch
from pyctl.observe.watch import Watcher
from pyctl.platform.process import process_ref
from pyctl.policy.compile.diff import changed_ports, changes
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.named_ports import PORT_LABEL, PortNames
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import empty_groups
from pyctl.policy.document.types import Policy
from pyctl.runtime.base import Container
from pyctl.runtime.resolve import at_place, configured, runtimes
from pyctl.state.ids import PortIds
from pyctl.state.memory import Memory, places
from pyctl.state.registry import Registry
from pyctl.state.requests import (
    AttachOrder,
    AttachResult,
    DetachOrder,
    DetachResult,
    PolicyResult,
)
from pyctl.state.revisions import UNTOLD, Revisions
from pyctl.state.store import Store
from pyctl.telemetry import logs
from pyctl.telemetry.events import EventLog, Happening
from pyctl.telemetry.history import hits
from pyctl.telemetry.history.collect import Collector
from pyctl.telemetry.history.hits import Count
from pyctl.telemetry.history.query import Reader
from pyctl.telemetry.history.writer import History, State
from pyctl.telemetry.open_flows import impact

_log = structlog.get_logger()
_NAMES_TOLD = 10


class Agent:
    """Made by `start`; ended by `stop`, which leaves attached workloads steered."""

    def __init__(
        self,
        instance: Instance,
        config: Config = DEFAULT,
        *,
        flow_cache: bool = True,
    ) -> None:
        self.instance = instance
        self._config = config
        self.started = time.monotonic()
        self.lock = Turns()
        self.supervisor = Supervisor(
            instance, flow_cache=flow_cache, cache_limit=config.flow_map_entries
        )
        store = Store(instance)
        drivers = Drivers(instance)
        steering = Steering(drivers, self.supervisor)
        self.context = Context(
            instance=instance,
            store=store,
            memory=Memory(instance),
            registry=Registry(store),
            steering=steering,
            events=EventLog(),
            history=History(
                instance.history_file,
                config.history,
                lambda told: self.context.happened(Happening("lifecycle", told)),
            ),
            port_ids=PortIds(store.last_port_id()),
        )
        self.policy_applied_at: float | None = None
        self.revisions = Revisions(instance)
        self.warnings: list[str] = []
        self.collector = Collector(
            self.supervisor,
            self.context.registry,
            self.context.history,
            self.context.happened,
        )
        self.reader = Reader(self.context.history, self.collector, self.context.events)
        self._watchers = (
            EngineWatch(
                self.context, self.supervisor, self.lock, self.collector.collect
            ),
            Watcher(self.context, self.supervisor, self.lock, self.attach),
        )
        self.auto_attacher = AutoAttacher(
            config.auto_attach,
            configured(config.container_hosts) if config.auto_attach else (),
            attach=self.attach,
            rename=self.rename,
            holder=self._holder,
            remembered=self._remembered,
            tell=self.context.happened,
        )

    def start(self) -> None:
        """Bring the kernel from whatever an earlier agent left to what is desired. A line in the log for each
        step: whoever waits for it sees how far it is.
        """
        with self.lock:
            _log.info("starting: reading what an earlier agent left")
            text, self.policy_applied_at = self.context.store.policy()
            # None is ever stored empty once one was applied.
            lost = self.policy_applied_at is not None and self.revisions.numbers()
            if text or lost:
                self.context.policy = self._readable(text)
            self.warnings += self.context.memory.load()
            recovery.keep_name(self.context, self.supervisor)
            self.warnings += recovery.finish_journals(self.context)
            _log.info("starting: making the datapath ready")
            ensure_enforcer(self.instance)
            self.warnings += self.context.steering.drivers.start()
            self.supervisor.log_level = logs.get_level()
            _log.info("starting: the engine")
            self.supervisor.start()
            _log.info("starting: taking over workloads")
            self.warnings += recovery.adopt_workloads(self.context)
            if text and not self.revisions.tells(self.context.policy.text):
                self._remember(self.context.policy, "", UNTOLD, None)
        for warning in self.warnings:
            self.context.happened(Happening("lifecycle", warning))
        self._count_rules()
        self.context.history.start()
        for watcher in self._watchers:
            watcher.start()
        self.auto_attacher.start()
        self._follow_remembered()
        _log.info("agent ready", instance=self.instance.name, ms=_since(self.started))

    def _readable(self, text: str) -> Policy:
        """The stored policy; where that is none any more, the newest revision that is one. Without
        any the agent does not start: with an empty policy it would open what the former one closed.
        """
        try:
            return parse(text)
        except UsageError as error:
            for number in reversed(self.revisions.numbers()):
                with contextlib.suppress(SegctlError):
                    found = parse(self.revisions.text(number))
                    self.warnings.append(
                        f"the stored policy cannot be read, revision {number} holds instead: {error}"
                    )
                    return found
            raise

    def _holder(self, pid: int) -> ProcessRef | None:
        """The process for which the network namespace of this one is attached; None: it is not."""
        try:
            found = workload_in_netns(self.context.registry, process_ref(pid))
        except SegctlError:
            return None
        return found.process if found else None

    def attach(self, order: AttachOrder) -> AttachResult:
        """See agent.attach."""
        with self.lock:
            self._finish_half_done(order.dry_run)
            result = attaching.attach(self.context, order)
            warnings = self._keep_in_memory(order, result)
        self._follow_remembered()
        return replace(result, warnings=[*result.warnings, *warnings])

    def _keep_in_memory(self, order: AttachOrder, result: AttachResult) -> list[str]:
        """Remember a container that was attached by name, or is remembered and was attached again."""
        container, workload = result.container, result.workload
        if container is None or workload is None:
            return []
        memory = self.context.memory
        former = memory.of(container)
        try:
            if order.once and former is not None:
                memory.forget(former)
            elif not order.once and (order.container is not None or former is not None):
                memory.keep(container, order, workload)
        except SegctlError as error:
            return [f"{error}; it is not attached again when it starts anew"]
        return []

    def _remembered(self, container: Container) -> AttachOrder | None:
        found = self.context.memory.of(container)
        return found.order if found else None

    def _follow_remembered(self) -> None:
        """Be told when containers that are attached by name start."""
        for place in sorted(places(self.context.memory.all())):
            self.auto_attacher.follow(at_place(place))

    def containers(self, host: str | None = None) -> tuple[list[Listed], list[str]]:
        """Return every container of the usual runtimes and of those that are followed, or of this one alone;
        see Inventory.
        """
        asked = runtimes(host) if host else configured(self._config.container_hosts)
        followed = () if host else self.auto_attacher.runtimes
        each = {one.place: one for one in (*asked, *followed)}
        context = self.context
        failures = self.auto_attacher.failures
        inventory = Inventory(self.instance, context.registry, context.memory, failures)
        return inventory.of(each.values())

    def find(self, ref: str) -> Workload:
        """Return an attached workload, or a container that is lost, by what a user may know of it; see
        Registry.find.
        """
        try:
            return self.context.registry.find(ref)
        except NotFoundError:
            for one in self.context.lost():
                if ref in (one.id, one.name):
                    return one
            raise

    def rename(self, container: Container, before: str) -> None:
        """See attach.rename."""
        with self.lock:
            attaching.rename(self.context, container, before)
            known = self.context.registry.get(container.short_id)
            former = self.context.memory.of(container)
            if known is not None and former is not None:
                # Under both names: another container may be made under the one it had.
                self.context.memory.keep(container, former.order, known)

    def detach(self, order: DetachOrder) -> DetachResult:
        """See agent.detach. Of many workloads, others have their turns in between."""
        with self.lock:
            self._finish_half_done(order.dry_run)
            return detaching.detach(self.context, order, self.lock.give_way)

    def _finish_half_done(self, dry_run: bool) -> None:
        if not dry_run:
            recovery.keep_name(self.context, self.supervisor)
            recovery.finish_journals(self.context)

    def _is_empty(self) -> bool:
        """Nothing is attached. Not the registry says so: it is empty still where the agent ends
        while it starts.
        """
        try:
            recovery.keep_name(self.context, self.supervisor)
        except SegctlError as error:
            _log.error("not taken away", error=str(error))
            return False
        # Of a namespace that could not be given its name back, nothing is seen.
        known = self.instance.netns.exists() or not self.context.registry.all()
        return known and not present_ports(self.instance)

    def set_mode(
        self, ref: str, mode: Mode | None, *, dry_run: bool = False
    ) -> Workload:
        """See Workload.forced. SegctlError where quarantine does not hold for all of its interfaces: it
        holds for the others then.
        """
        with self.lock:
            before = self.find(ref)
            after = before.forced(mode)
            if dry_run:
                return after
            # First where it outlives container, agent and host.
            self.context.memory.keep_mode(after)
            if after.id in self.context.registry.by_id:
                self._put_mode(before, after)
            was, now = self.context.mode_of(before), self.context.mode_of(after)
            self.context.happened(
                Happening(
                    "lifecycle", f"mode {was.mode} → {now.mode}", workload=after.name
                )
            )
            uninspected.cover(self.context, after)
            return after

    def _put_mode(self, before: Workload, after: Workload) -> None:
        try:
            self.context.registry.put(after)
            self.context.refresh()
        except Exception:
            with contextlib.suppress(SegctlError):
                self.context.memory.keep_mode(before)
            self.context.registry.put(before)
            self.context.refresh()
            raise

    def apply_policy(
        self,
        text: str,
        *,
        dry_run: bool = False,
        author: str = "",
        comment: str = "",
        uid: int | None = None,
    ) -> PolicyResult:
        """Replace the policy. Parsed whole first; on return it holds for the next packet. `author`,
        `comment` and `uid` are for the log.
        """
        started = time.monotonic()
        policy = parse(text)
        with self.lock:
            before = self.context.policy
            now = self.context.compile()
            ports = len(changed_ports(now, self.context.compile_with(policy)))
            # Before the switch: the engine judges open flows anew at their next packet.
            seen = impact(self.supervisor, policy, self.context.registry.all())
            if not dry_run:
                # Also what holds already: it may not hold everywhere after a failure.
                put_in_force(self.context, policy)
                self._count_rules()
                if policy.text != before.text or not self.revisions.tells(policy.text):
                    self.policy_applied_at = time.time()
                    self._remember(policy, author, comment, uid)
        return PolicyResult(
            changes=changes(before, policy),
            warnings=[
                *policy.warnings,
                *self._selects_nobody(policy),
                *self._stands_for_nothing(policy),
            ],
            groups=len(policy.groups),
            rules=len(policy.rules),
            ports=ports,
            impact=seen,
            elapsed_ms=_since(started),
        )

    def _selects_nobody(self, policy: Policy) -> list[str]:
        """A warning of groups that take no attached workload: misspelt, or early."""
        names = empty_groups(policy, self.context.registry.all())
        return _named("groups that select no attached workload", names)

    def _stands_for_nothing(self, policy: Policy) -> list[str]:
        """A warning of named ports that no workload declares."""
        names = PortNames(policy).undeclared(self.context.registry.all())
        what = f"ports that no attached workload of the rule's target declares (label {PORT_LABEL}NAME=8080)"
        return _named(what, names)

    def _count_rules(self) -> None:
        """Of the policy in force, from now on, so that it is known since when none was hit."""
        rules = self.context.policy.rules
        keys = [rule_key(rule) for rule in rules if rule.enabled]
        self.context.history.record(counts=map(Count, [hits.DEFAULT, *keys]))

    def _remember(
        self, policy: Policy, author: str, comment: str, uid: int | None
    ) -> None:
        """In the log; a disk that refuses takes nothing back."""
        try:
            self.revisions.add(
                policy.text,
                time=time.time(),
                author=author,
                comment=comment,
                rules=len(policy.rules),
                groups=len(policy.groups),
                uid=uid,
            )
        except SegctlError as error:
            told = f"the policy holds, but is not in its log: {error}"
            self.context.happened(Happening("policy", told))

    def known_workload(self, ref: str | None) -> str | None:
        """Return the name of a workload that is attached, or of which something is recorded; of None, None.
        NotFoundError where nobody is called so.
        """
        if ref is None:
            return None
        try:
            return harmless(self.context.registry.find(ref).name)
        except NotFoundError:
            if self.reader.knows(ref):
                return ref
            raise

    def recording(self) -> State:
        """How the recording goes; lost is what engine, agent or disk had no room for."""
        state = self.context.history.state()
        return replace(state, lost=state.lost + self.collector.lost)

    def set_log_level(self, level: str) -> str:
        """Of the agent and the engine; gives the one before."""
        with self.lock:
            before = logs.set_level(level)
            self.supervisor.log_level = level
            self.supervisor.tell(lambda engine: engine.log_level(level))
        return before

    def stop(self, *, detach: bool = False) -> list[str]:
        """End. Attached workloads stay as they are, with the engine, unless `detach`; with none
        attached everything of the instance goes. Gives the names of those detached.
        """
        self.auto_attacher.stop()
        names: list[str] = []
        if detach:
            names = self.detach(DetachOrder(all=True)).workloads
        for watcher in self._watchers:
            watcher.stop()
        self.collector.collect()
        with self.lock:
            if self._is_empty():
                self.supervisor.stop()
                self.context.steering.drivers.cleanup()
                remove_enforcer(self.instance)
            else:
                self.supervisor.release()
            self.context.history.stop()
            # A request that is still at work must change nothing behind the next agent's back.
            self.lock.close()
        _log.info("agent stopped", detached=names)
        return names


def _named(what: str, names: list[str]) -> list[str]:
    """A warning of these, if there are any."""
    if not names:
        return []
    shown = names[:_NAMES_TOLD]
    if more := len(names) - len(shown):
        shown.append(f"and {more} more")
    return [f"{what}: {', '.join(shown)}"]


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)

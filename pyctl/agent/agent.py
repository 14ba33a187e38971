"""One node's agent: which workloads are attached, in which mode, under which policy.

In: orders. Out: results, and the kernel made to match. One lock orders all changes; reading takes
none, because the values are frozen and replaced whole.
"""

from __future__ import annotations

import contextlib
import time

import structlog

from pyctl.agent import attach as attaching
from pyctl.agent import detach as detaching
from pyctl.agent import logs, recovery
from pyctl.agent.auto_attach import AutoAttacher
from pyctl.agent.config import DEFAULT, Config
from pyctl.agent.context import Context
from pyctl.agent.drivers import Drivers
from pyctl.agent.enforce import put_in_force
from pyctl.agent.engine_watch import EngineWatch
from pyctl.agent.events import EventLog, Happening
from pyctl.agent.history import hits
from pyctl.agent.history.collect import Collector
from pyctl.agent.history.hits import Count
from pyctl.agent.history.query import Reader
from pyctl.agent.history.writer import History
from pyctl.agent.ids import PortIds
from pyctl.agent.open_flows import impact
from pyctl.agent.orders import (
    AttachOrder,
    AttachResult,
    DetachOrder,
    DetachResult,
    PolicyResult,
)
from pyctl.agent.registry import Registry
from pyctl.agent.revisions import UNTOLD, Revisions
from pyctl.agent.steering import Steering
from pyctl.agent.store import Store
from pyctl.agent.supervisor import Supervisor
from pyctl.agent.turns import Turns
from pyctl.agent.watch import Watcher
from pyctl.errors import SegctlError, UsageError
from pyctl.intercept.enforcer import ensure_enforcer, remove_enforcer
from pyctl.intercept.presence import present_ports
from pyctl.model.instance import Instance
from pyctl.model.workload import Mode, ProcessRef, Workload
from pyctl.platform.process import process_ref
from pyctl.policy.diff import changed_ports, changes
from pyctl.policy.document import Policy
from pyctl.policy.parse import parse
from pyctl.runtime.base import Container
from pyctl.runtime.resolve import configured

_log = structlog.get_logger()


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
            Watcher(self.context, self.lock, self.attach),
        )
        self.auto_attacher = AutoAttacher(
            config.auto_attach,
            configured(config.container_hosts) if config.auto_attach else (),
            attach=self.attach,
            rename=self.rename,
            holder=self._holder,
            tell=self.context.happened,
        )

    def start(self) -> None:
        """Bring the kernel from whatever an earlier agent left to what is desired."""
        with self.lock:
            text, self.policy_applied_at = self.context.store.policy()
            # None is ever stored empty once one was applied.
            lost = self.policy_applied_at is not None and self.revisions.numbers()
            if text or lost:
                self.context.policy = self._readable(text)
            recovery.keep_name(self.context, self.supervisor)
            self.warnings += recovery.finish_journals(self.context)
            ensure_enforcer(self.instance)
            self.warnings += self.context.steering.drivers.start()
            self.supervisor.log_level = logs.get_level()
            self.supervisor.start()
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
            found = self.context.registry.in_netns(process_ref(pid).netns)
        except SegctlError:
            return None
        return found.process if found else None

    def attach(self, order: AttachOrder) -> AttachResult:
        """See agent.attach."""
        with self.lock:
            self._finish_half_done(order.dry_run)
            return attaching.attach(self.context, order)

    def rename(self, container: Container, before: str) -> None:
        """See attach.rename."""
        with self.lock:
            attaching.rename(self.context, container, before)

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
        """See Workload.forced."""
        with self.lock:
            before = self.context.registry.find(ref)
            after = before.forced(mode)
            if dry_run:
                return after
            self.context.registry.put(after)
            try:
                self.context.refresh()
            except Exception:
                self.context.registry.put(before)
                self.context.refresh()
                raise
            was, now = self.context.mode_of(before), self.context.mode_of(after)
            self.context.happened(
                Happening(
                    "lifecycle", f"mode {was.mode} → {now.mode}", workload=after.name
                )
            )
            return after

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
            old = self.context.compile()
            try:
                self.context.policy = policy
                ports = len(changed_ports(old, self.context.compile()))
            finally:
                self.context.policy = before
            # Before the switch: the engine judges open flows anew at their next packet.
            seen = impact(self.supervisor, policy, self.context.registry.all())
            if not dry_run:
                put_in_force(self.context, policy)
                self._count_rules()
                self.policy_applied_at = time.time()
                self._remember(policy, author, comment, uid)
        return PolicyResult(
            changes=changes(before, policy),
            warnings=list(policy.warnings),
            groups=len(policy.groups),
            rules=len(policy.rules),
            ports=ports,
            impact=seen,
            elapsed_ms=_since(started),
        )

    def _count_rules(self) -> None:
        """Of the policy in force, from now on, so that it is known since when none was hit."""
        keys = [rule.key for rule in self.context.compile().node.rules]
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

    def set_log_level(self, level: str) -> str:
        """Of the agent and the engine; gives the one before."""
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
        _log.info("agent stopped", detached=names)
        return names


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)

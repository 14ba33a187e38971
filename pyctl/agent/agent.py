"""One node's agent: which workloads are attached, in which mode, under which policy.

In: requests. Out: results, and the kernel made to match. One loop makes all changes, one at a time; readers
take no lock, because the values are frozen and replaced as a whole.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import structlog

from pyctl.agent.config import DEFAULT, Config
from pyctl.agent.inventory import Inventory, Listed
from pyctl.agent.policies import Policies
from pyctl.controller import recovery
from pyctl.controller.context import Context
from pyctl.controller.loop import Kind, Loop, Work, each
from pyctl.controller.steering import Steering
from pyctl.controller.view import View
from pyctl.controller.workloads import attach as attaching
from pyctl.controller.workloads import detach as detaching
from pyctl.controller.workloads import uninspected
from pyctl.controller.workloads.in_netns import workload_in_netns
from pyctl.datapath.base import Driver
from pyctl.datapath.drivers import Drivers
from pyctl.engine.workers import Workers
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.enforcer import ensure_enforcer, remove_enforcer
from pyctl.intercept.live_state import present_ports
from pyctl.model.instance import Instance
from pyctl.model.text import harmless
from pyctl.model.workload import DatapathKind, Mode, ProcessRef, Workload
from pyctl.observe.auto_attach import AutoAttacher
from pyctl.observe.engine_watch import EngineWatch
from pyctl.observe.watch import Watcher
from pyctl.platform.process import process_ref
from pyctl.policy.document.parse import parse
from pyctl.runtime.base import Container
from pyctl.runtime.resolve import at_place, configured, resolve, runtimes
from pyctl.state.ids import PortIds
from pyctl.state.registry import Registry, find_workload
from pyctl.state.remembered import Memory, places
from pyctl.state.requests import (
    AttachRequest,
    AttachResult,
    DetachRequest,
    DetachResult,
    PolicyResult,
)
from pyctl.state.revisions import Revisions
from pyctl.state.store import Store
from pyctl.telemetry import logs
from pyctl.telemetry.events import Event, EventLog
from pyctl.telemetry.history.collect import Collector
from pyctl.telemetry.history.query import Reader
from pyctl.telemetry.history.writer import History, State
from pyctl.telemetry.open_flows import impact

_log = structlog.get_logger()
_RESYNC = "resync"
"""The kind of work that repeats what engine or kernel refused."""


class Agent:
    """The agent of one instance. `start` begins it; `stop` ends it and leaves attached workloads steered."""

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
        self._loop = Loop("controller", self._publish)
        self.view = View()
        self.engines = Workers(
            instance,
            config.workers,
            flow_cache=flow_cache,
            cache_limit=config.flow_map_entries,
        )
        store = Store(instance)
        drivers = Drivers(instance, config.workers)
        steering = Steering(drivers, self.engines)
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
                lambda told: self.context.happened(Event("lifecycle", told)),
            ),
            port_ids=PortIds(store.last_port_id()),
        )
        self.revisions = Revisions(instance)
        self._policies = Policies(self.context, self.revisions)
        self.warnings: list[str] = []
        self.collector = Collector(
            self.engines,
            self.context.registry,
            self.context.history,
            self.context.happened,
        )
        self.events = self.context.events
        self.reader = Reader(self.context.history, self.collector, self.events)
        self._watcher = Watcher(self.context, self.engines, self._loop, self.attach)
        self._watchers = (
            EngineWatch(self.context, self.engines, self._loop, self.collector.collect),
            self._watcher,
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

        resync = each(lambda _: recovery.resync(self.context))
        self._loop.kind(_RESYNC, Kind(resync, self._resync_failed, retry_max_s=30.0))
        self.context.on_due = partial(self._loop.put, _RESYNC)
        self.context.give_way = self._loop.give_way

    def _publish(self) -> None:
        """Give readers a view of what holds now, if that is not what the last one has."""
        context, before = self.context, self.view
        now = View(
            policy=context.policy,
            policy_applied_at=self._policies.applied_at,
            by_id=context.registry.by_id,
            uninspected=context.uninspected,
            applied=context.steering.applied,
            generations=context.steering.generations,
        )
        if not now.is_same(before):
            self.view = now
        if now.by_id is not before.by_id:
            self._watcher.wake()

    def _resync_failed(self, key: str, error: Exception) -> None:
        del key
        # Other due work was reported when it was refused.
        if self.context.stale:
            self.context.happened(Event("lifecycle", str(error)))

    def pending(self) -> list[Work]:
        """Return the work that was refused or failed and is retried, with its reason."""
        parts = (self._loop, *self._watchers, self.auto_attacher)
        found = [one for part in parts for one in part.pending() if one.tries]
        # A later change may have done what was refused.
        return [one for one in found if one.kind != _RESYNC or self.context.due()]

    def start(self) -> None:
        """Bring the kernel from whatever an earlier agent left to the desired state. Log a line for each
        step, so that whoever waits sees the progress.
        """
        _log.info("starting: reading what an earlier agent left")
        self.warnings += self._policies.load()
        self.warnings += self.context.memory.load()
        recovery.keep_name(self.context, self.engines)
        self.warnings += recovery.finish_journals(self.context)
        _log.info("starting: making the datapath ready")
        ensure_enforcer(self.instance)
        self.warnings += self.context.steering.drivers.start()
        self.engines.log_from(logs.get_level())
        _log.info("starting: the engine")
        self.engines.start()
        _log.info("starting: taking over workloads")
        self.warnings += recovery.adopt_workloads(self.context)
        self._policies.note_untold()
        for warning in self.warnings:
            self.context.happened(Event("lifecycle", warning))
        self._policies.count_rules()
        self.context.history.start()
        self._publish()
        self._loop.start()
        for watcher in self._watchers:
            watcher.start()
        self.auto_attacher.start()
        self._follow_remembered()
        _log.info("agent ready", instance=self.instance.name, ms=_since(self.started))

    def _holder(self, pid: int) -> ProcessRef | None:
        """Return the attached process in the same network namespace as `pid`; None where there is none."""
        try:
            found = workload_in_netns(self.view.workloads(), process_ref(pid))
        except SegctlError:
            return None
        return found.process if found else None

    def attach(self, order: AttachRequest) -> AttachResult:
        """Splice what the request names, or update its options if it is attached; see attach.attach."""
        if order.container is not None and order.found is None:
            # Ask here: the loop must not wait for a slow runtime.
            found = resolve(order.container, order.container_host)
            order = replace(order, found=found)
        result = self._loop.do(partial(self._attach, order))
        self._follow_remembered()
        return result

    def _attach(self, order: AttachRequest) -> AttachResult:
        self._finish_half_done(order.dry_run)
        result = attaching.attach(self.context, order)
        warnings = self._keep_in_memory(order, result)
        return replace(result, warnings=[*result.warnings, *warnings])

    def _keep_in_memory(self, order: AttachRequest, result: AttachResult) -> list[str]:
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

    def _remembered(self, container: Container) -> AttachRequest | None:
        found = self.context.memory.of(container)
        return found.order if found else None

    def _follow_remembered(self) -> None:
        """Watch the runtimes for starts of containers that are attached by name."""
        for place in sorted(places(self.context.memory.all())):
            self.auto_attacher.follow(at_place(place))

    def containers(self, host: str | None = None) -> tuple[list[Listed], list[str]]:
        """Return every container of the usual runtimes and of those followed, or of the one at `host` alone;
        see Inventory.
        """
        asked = runtimes(host) if host else configured(self._config.container_hosts)
        followed = () if host else self.auto_attacher.runtimes
        by_place = {one.place: one for one in (*asked, *followed)}
        attached, memory = self.view.workloads(), self.context.memory
        failures = self.auto_attacher.failures
        inventory = Inventory(self.instance, attached, memory, failures)
        return inventory.of(by_place.values())

    def find(self, view: View, ref: str) -> Workload:
        """Return a workload of the view, or a lost container, by id, name, pid or id prefix; see View.find."""
        return self._find(view.by_id, ref)

    def _find(self, attached: Mapping[str, Workload], ref: str) -> Workload:
        try:
            return find_workload(attached, ref)
        except NotFoundError:
            for one in self.context.lost(attached):
                if ref in (one.id, one.name):
                    return one
            raise

    def lost(self, view: View) -> list[Workload]:
        """Return the containers that are not in the view and are attached again when they start."""
        return self.context.lost(view.by_id)

    def driver_of(self, workload: Workload) -> Driver:
        """Return the driver that steers the workload, to ask for rules and counts."""
        return self.context.steering.drivers.of(workload.datapath)

    def default_datapath(self) -> DatapathKind:
        """Return the datapath that new workloads get."""
        return self.context.steering.drivers.default

    def rename(self, container: Container, before: str) -> None:
        """Give the container's workload its new name if it was called `before`; see attach.rename."""
        self._loop.do(partial(self._rename, container, before))

    def _rename(self, container: Container, before: str) -> None:
        attaching.rename(self.context, container, before)
        known = self.context.registry.get(container.short_id)
        former = self.context.memory.of(container)
        if known is not None and former is not None:
            # Keep both names: another container may be created under the former one.
            self.context.memory.keep(container, former.order, known)

    def detach(self, order: DetachRequest) -> DetachResult:
        """Undo the splices that the request names; with many workloads, other requests run in between."""
        if order.container is not None and not self._is_known(order.container):
            # As for an attach.
            found = resolve(order.container, order.container_host)
            order = replace(order, container=None, pid=found.pid)
        return self._loop.do(partial(self._detach, order))

    def _is_known(self, ref: str) -> bool:
        known = (*self.view.workloads(), *self.lost(self.view))
        return any(ref in (one.name, one.id) for one in known)

    def _detach(self, order: DetachRequest) -> DetachResult:
        self._finish_half_done(order.dry_run)
        return detaching.detach(self.context, order, self._loop.yield_to_waiters)

    def _finish_half_done(self, dry_run: bool) -> None:
        if not dry_run:
            recovery.keep_name(self.context, self.engines)
            recovery.finish_journals(self.context)

    def _is_empty(self) -> bool:
        """Return whether nothing is attached. The registry cannot tell: it is still empty when the agent ends
        while it starts.
        """
        try:
            recovery.keep_name(self.context, self.engines)
        except SegctlError as error:
            _log.error("not taken away", error=str(error))
            return False
        # Nothing is visible of a namespace that could not get its name back.
        known = self.instance.netns.exists() or not self.context.registry.all()
        return known and not present_ports(self.instance)

    def set_mode(
        self, ref: str, mode: Mode | None, *, dry_run: bool = False
    ) -> Workload:
        """Force the workload's mode as Workload.forced does. Raise SegctlError where quarantine does not hold
        for all of its interfaces (it holds for the others then), or is not kept for its next start.
        """
        return self._loop.do(
            partial(self._set_mode, ref, mode, dry_run=dry_run),
            may_cut_in=partial(self._is_left_alone, ref),
        )

    def _is_left_alone(self, ref: str) -> bool:
        """Return whether the workload is known, and no splice of its own is under way."""
        try:
            found = self._find(self.context.registry.by_id, ref)
        except NotFoundError:
            # Perhaps it is what is being attached.
            return False
        return found.id not in self.context.under_way

    def _set_mode(self, ref: str, mode: Mode | None, *, dry_run: bool) -> Workload:
        context = self.context
        before = self._find(context.registry.by_id, ref)
        after = before.forced(mode)
        if dry_run:
            return after
        unkept = None
        try:
            # Store it first, where it outlives container, agent and host.
            context.memory.keep_mode(after)
        except SegctlError as error:
            # A full disk keeps nobody out of quarantine.
            if mode is not Mode.QUARANTINE:
                raise
            unkept = error
        if after.id in context.registry.by_id:
            self._put_mode(before, after)
        was, now = context.mode_of(before), context.mode_of(after)
        told = f"mode {was.mode} → {now.mode}"
        context.happened(Event("lifecycle", told, workload=after.name))
        uninspected.cover(context, after)
        if unkept is not None:
            unkept.state = (
                "the quarantine holds, but not when its container starts anew"
            )
            raise unkept
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
        """Replace the policy, parsed as a whole first; on return it holds for the next packet. `author`,
        `comment` and `uid` are for the log.
        """
        started = time.monotonic()
        policy = parse(text)
        # Before the switch: the engine judges open flows anew at their next packet. And here: the loop must
        # not wait while thousands of them are judged.
        seen = impact(self.engines, policy, self.view.workloads())
        log = partial(self._policies.log, policy, author, comment, uid)
        apply = partial(self._policies.apply, policy, seen, log, dry_run=dry_run)
        result = self._loop.do(apply)
        return replace(result, elapsed_ms=_since(started))

    def known_workload(self, ref: str | None) -> str | None:
        """Return the name of a workload that is attached or has records; None for None. Raise NotFoundError
        for an unknown name.
        """
        if ref is None:
            return None
        try:
            return harmless(self.view.find(ref).name)
        except NotFoundError:
            if self.reader.knows(ref):
                return ref
            raise

    def recording(self) -> State:
        """Return the state of the recording; `lost` counts what engine, agent or disk had no room for."""
        state = self.context.history.state()
        return replace(state, lost=state.lost + self.collector.lost)

    def set_log_level(self, level: str) -> str:
        """Set the log level of agent and engine; return the one before."""
        return self._loop.do(partial(self._set_log_level, level))

    def _set_log_level(self, level: str) -> str:
        before = logs.set_level(level)
        self.engines.set_log_level(level)
        return before

    def stop(self) -> None:
        """End the agent. Workloads and engine stay as they are. If no workload is left, everything of the
        instance is removed.
        """
        self.auto_attacher.stop()
        for watcher in self._watchers:
            watcher.stop()
        with contextlib.suppress(SegctlError):
            self.collector.collect()
        # A request that still waits must not change anything after the next agent has started.
        self._loop.close()
        try:
            if self._is_empty():
                self.engines.stop()
                self.context.steering.drivers.cleanup()
                remove_enforcer(self.instance)
            else:
                self.engines.release()
        finally:
            self.context.history.stop()
        _log.info("agent stopped")


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)

"""Looks after the engine, five times a second: is it there, does its loop turn, what has it to tell.

In: the engine's health, its events and the kernel's. Out: a new engine in the place of a dead one; events. It
has its own threads, because the changes of a thousand workloads must not delay the replacement of a dead
engine, nor let events wait until their buffer is full; and two, because a hung engine is asked in vain for events.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from pyctl.controller.context import Context
from pyctl.controller.loop import Kind, Loop, Work, each
from pyctl.controller.recovery import keep_name
from pyctl.datapath.events import EventReader
from pyctl.engine.supervisor import Supervisor
from pyctl.engine.workers import Workers
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.workload import DatapathKind
from pyctl.telemetry.events import Event
from pyctl.telemetry.log_files import LogFiles
from pyctl.telemetry.report import kernel_event

_log = structlog.get_logger()
_ROUND_S = 0.2
_RETRY_S = 3.0
"""Pause after a failed engine start, so that a host without free memory is not flooded with attempts."""


class EngineWatch:
    """The threads that watch the engine, from `start` until `stop` returns."""

    def __init__(
        self,
        context: Context,
        engines: Workers,
        controller: Loop,
        collect: Callable[[], None],
    ) -> None:
        self._context = context
        self._engines = engines
        self._do = controller.do
        self._log_files = LogFiles(context.instance)
        self._kernel_events: EventReader | None = None
        self._looks, self._reports = Loop("engine-watch"), Loop("engine-reports")
        calls: dict[str, tuple[Loop, Callable[[], object]]] = {
            "namespace": (self._looks, self._keep_name),
            **{
                f"process {one.worker.number or ''}".strip(): (
                    self._looks,
                    partial(self._look_after, one),
                )
                for one in engines.each
            },
            "events": (self._reports, collect),
            "kernel-events": (self._reports, self._fetch_kernel_events),
            "logs": (self._reports, self._look_after_log),
        }
        handle = each(lambda key: calls[key][1]())
        kind = Kind(handle, self._failed, _ROUND_S, _RETRY_S, 0.0, _ROUND_S)
        for key, (loop, _) in calls.items():
            loop.kind("engine", kind)
            loop.put("engine", key)

    def start(self) -> None:
        """Start the threads that watch the engine."""
        self._looks.start()
        self._reports.start()

    def pending(self) -> list[Work]:
        """Return what failed and is looked at again."""
        return [*self._looks.pending(), *self._reports.pending()]

    def stop(self) -> None:
        """End the threads and close the file descriptors."""
        self._looks.close()
        self._reports.close()
        if self._kernel_events is not None:
            self._kernel_events.close()

    def _failed(self, key: str, error: Exception) -> None:
        del key
        if isinstance(error, SegctlError):
            self._context.happened(Event("lifecycle", str(error)))

    def _keep_name(self) -> None:
        try:
            keep_name(self._context, self._engines)
        except RefusedError as error:
            _log.debug("enforcer namespace", error=str(error))

    def _look_after(self, one: Supervisor) -> None:
        if not one.healthy():
            self._do(partial(self._replace_engine, one))

    def _replace_engine(self, one: Supervisor) -> None:
        former = one.pid
        # An earlier request may have launched an engine that is healthy by now.
        if self._looks.closing or one.healthy():
            return
        one.replace(former)
        told = f"engine {former} was gone or hung; {one.pid} took over"
        self._context.happened(Event("engine", told))

    def _look_after_log(self) -> None:
        self._context.log_sums()
        self._log_files.keep_small()

    def _fetch_kernel_events(self) -> None:
        if self._kernel_events is None:
            if not self._context.steering.drivers.is_ready(DatapathKind.EBPF):
                return
            self._kernel_events = EventReader(self._context.instance)
        for drop in self._kernel_events.read():
            self._context.happened(kernel_event(drop, self._context.registry.names))

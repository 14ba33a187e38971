"""Looks after the engine, five times a second: is it there, does its loop turn, what has it to tell.

In: the engine's health, its events and the kernel's. Out: a new engine in the place of a dead one;
happenings. A thread of its own: what there is to follow in a thousand workloads must not keep a dead
engine from being replaced, nor events waiting until there is no more room for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from pyctl.controller.context import Context
from pyctl.controller.recovery import keep_name
from pyctl.controller.turns import Turns
from pyctl.datapath.events import EventReader
from pyctl.engine.supervisor import Supervisor
from pyctl.errors import RefusedError
from pyctl.model.workload import DatapathKind
from pyctl.observe.rounds import Rounds
from pyctl.telemetry.events import Happening
from pyctl.telemetry.log_files import LogFiles
from pyctl.telemetry.report import kernel_happening

_log = structlog.get_logger()
_ROUND_S = 0.2
_RETRY_S = 3.0
"""After a failed start of an engine, so that a host out of memory is not flooded with attempts."""


class EngineWatch:
    """Started once; `stop` returns when its thread has ended."""

    def __init__(
        self,
        context: Context,
        supervisor: Supervisor,
        lock: Turns,
        collect: Callable[[], None],
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._lock = lock
        self._not_before = 0.0
        self._log_files = LogFiles(context.instance)
        self._kernel_events: EventReader | None = None
        self._rounds = Rounds(
            "engine-watch",
            context.happened,
            self._keep_name,
            self._look_after_engine,
            collect,
            self._fetch_kernel_events,
            self._look_after_log,
            lambda: self._rounds.pause(_ROUND_S),
        )

    def start(self) -> None:
        """Begin to watch."""
        self._rounds.start()

    def stop(self) -> None:
        """End the thread and give the file descriptors back."""
        self._rounds.end()
        if self._kernel_events is not None:
            self._kernel_events.close()

    def _keep_name(self) -> None:
        try:
            keep_name(self._context, self._supervisor)
        except RefusedError as error:
            _log.debug("enforcer namespace", error=str(error))

    def _look_after_engine(self) -> None:
        if time.monotonic() < self._not_before or self._supervisor.healthy():
            return
        former = self._supervisor.pid
        self._not_before = time.monotonic() + _RETRY_S
        with self._lock:
            # Whoever had the lock may have launched one since, whose loop beats by now.
            if self._rounds.ending or self._supervisor.healthy():
                self._not_before = 0.0
                return
            self._supervisor.replace(former)
        self._not_before = 0.0
        self._context.happened(
            Happening(
                "engine",
                f"engine {former} was gone or hung; {self._supervisor.pid} took over",
            )
        )

    def _look_after_log(self) -> None:
        self._context.log_sums()
        self._log_files.keep_small()

    def _fetch_kernel_events(self) -> None:
        if self._kernel_events is None:
            if not self._context.steering.drivers.is_ready(DatapathKind.EBPF):
                return
            self._kernel_events = EventReader(self._context.instance)
        for drop in self._kernel_events.read():
            self._context.happened(kernel_happening(drop, self._context.registry.names))

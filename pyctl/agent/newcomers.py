"""Interfaces that an attached workload gets later, as by `docker network connect`: spliced like its first
ones, else policy and quarantine would end where the new one begins.

In: workloads whose links have changed. Out: attach orders; what cannot be attached is told, once. I/O:
reads the workload's namespace.
Not at once: whoever makes the interface is still at it, and must not find it gone for a moment. And in
bounds, because a workload may make interfaces by itself, as many and as often as it likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pyctl.agent.context import Context
from pyctl.agent.events import Happening
from pyctl.agent.orders import AttachOrder
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.intercept.presence import unspliced
from pyctl.intercept.select import candidates
from pyctl.model.workload import Workload
from pyctl.platform.process import process_alive

_QUIET_S, _LATEST_S = 0.1, 1.0
"""So long nothing must change; but so long after the first change is late enough."""
_RETRY_S = 3.0
_PAUSES = 4
"""After interfaces were attached, so many times as long none are of that workload."""
_TOLD = 50
"""Lines of one workload, which may give its interfaces any name."""
PORTS_MAX = 16
"""Of one workload; what it has beyond that, `segctl attach --interface` names."""


@dataclass
class _Waiting:
    """What is known of one workload."""

    due: float | None = None
    """When its interfaces are attached; None: it has none that are not."""
    first: float = 0.0
    """When they were first seen."""
    rests: float = 0.0
    """Until when none is attached."""
    told: set[str] = field(default_factory=set)


class Newcomers:
    """`look` when the links of a workload have changed, `forget` when it is gone; calling it attaches what
    is due. All by one thread.
    """

    def __init__(
        self,
        context: Context,
        lock: AbstractContextManager[object],
        attach: Callable[[AttachOrder], object],
    ) -> None:
        self._context = context
        self._lock = lock
        self._attach = attach
        self._waiting: dict[str, _Waiting] = {}

    def look(self, workload_id: str) -> None:
        """Whether it has interfaces that are not spliced."""
        workload = self._context.registry.get(workload_id)
        if workload is None or not workload.whole:
            return
        waiting = self._waiting.setdefault(workload_id, _Waiting())
        if not self._new(workload, waiting):
            waiting.due = None
            return
        now = time.monotonic()
        if waiting.due is None:
            waiting.first = now
        due = min(now + _QUIET_S, waiting.first + _LATEST_S)
        waiting.due = max(due, waiting.rests)

    def forget(self, workload_id: str) -> None:
        """It is not attached any more. Idempotent."""
        self._waiting.pop(workload_id, None)

    def __call__(self) -> None:
        """Attach what is due."""
        now = time.monotonic()
        for workload_id, waiting in list(self._waiting.items()):
            if waiting.due is not None and waiting.due <= now:
                waiting.due = None
                began = time.monotonic()
                self._attach_new(workload_id, waiting)
                ended = time.monotonic()
                waiting.rests = ended + _PAUSES * (ended - began)

    def _new(self, workload: Workload, waiting: _Waiting) -> tuple[str, ...]:
        try:
            found, others = candidates(workload.process)
            new = unspliced(self._context.instance, workload.process, found)
        except NotFoundError:
            # Its process has ended.
            return ()
        for other in others:
            self._tell(workload, waiting, f"not inspected: {other}")
        ours = {port.interface for port in workload.ports}
        for name in ours.intersection(new):
            # As another instance does, behind whom all that passes it comes to us.
            told = f"{name} is not the inspected one, which was moved away; it stays as it is"
            self._tell(workload, waiting, told)
        new = tuple(name for name in new if name not in ours)
        room = max(0, PORTS_MAX - len(workload.ports))
        if new[room:]:
            told = f"not inspected: {new[room]}, it has {PORTS_MAX} interfaces already"
            self._tell(workload, waiting, told)
        return new[:room]

    def _attach_new(self, workload_id: str, waiting: _Waiting) -> None:
        with self._lock:
            workload = self._context.registry.get(workload_id)
            if workload is None or not process_alive(workload.process):
                return
            for name in self._new(workload, waiting):
                order = AttachOrder(pid=workload.process.pid, interfaces=(name,))
                try:
                    self._attach(order)
                except NotFoundError:
                    # It has gone again.
                    continue
                except SegctlError as error:
                    self._tell(workload, waiting, f"not inspected: {name}: {error}")
                    if not isinstance(error, RefusedError):
                        waiting.due = time.monotonic() + _RETRY_S

    def _tell(self, workload: Workload, waiting: _Waiting, what: str) -> None:
        if what not in waiting.told and len(waiting.told) < _TOLD:
            waiting.told.add(what)
            happening = Happening("lifecycle", what, workload=workload.name)
            self._context.happened(happening)

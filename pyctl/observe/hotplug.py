"""Interfaces that an attached workload gets later, as by `docker network connect`: spliced like its first
ones, else policy and quarantine would end where the new one begins.

In: workloads whose links have changed. Out: attach orders; what cannot be attached is told, once. I/O: reads
the workload's namespace. The attach waits a little, because whoever makes the interface still works on it and
must not find it gone. It is bounded, because a workload may make any number of interfaces: one at a time,
each workload in turn, with the controller's other requests in between.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from pyctl.controller.context import Context
from pyctl.controller.loop import Loop
from pyctl.controller.workloads.given import told_by_runtime
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.live_state import too_much, unspliced
from pyctl.intercept.survey.select import find
from pyctl.model.workload import Mode, Workload
from pyctl.platform.process import process_alive
from pyctl.state.requests import AttachRequest
from pyctl.telemetry.events import Event

_QUIET_S, _LATEST_S = 0.1, 1.0
"""Seconds without a change before an attach, and the most seconds after the first change."""
_RETRY_S, _RETRY_MAX_S = 3.0, 60.0
"""Seconds after a failed attach, at first and at most."""
_BARE_S = 3.0
"""How many seconds an interface that is up waits for an address, which its maker usually gives it."""
_PAUSES = 4
"""After a batch that took t seconds, the workload's next batch waits _PAUSES * t seconds."""
_TOLD = 50
"""The most lines reported for one workload, which may give its interfaces any name."""
PORTS_MAX = 16
"""The most spliced interfaces of one workload that lead to its own namespaces, of which it can make any
number; `segctl attach --interface` attaches more. Those that lead to the host's side are made by others, and
all are spliced."""


@dataclass
class _Waiting:
    """The interfaces of one workload that wait to be attached."""

    due: float | None = None
    """When its interfaces are attached; None: it has none that are not."""
    first: float = 0.0
    """When they were first seen."""
    rests: float = 0.0
    """No interface is attached before this time."""
    told: set[str] = field(default_factory=set)
    tries: int = 0
    """How many tries in a row have failed."""
    bare: dict[str, float] = field(default_factory=dict)
    """Interfaces that are up without an address, and since when."""
    names: deque[str] = field(default_factory=deque)
    """The current batch: interfaces that are due and still to be attached."""
    own: frozenset[str] = frozenset()
    """The interfaces that lead to the workload's own namespaces, as found last."""
    told_addresses: tuple[str, ...] = ()
    """The addresses that the runtime names for them."""
    failed: bool = False
    """An interface of the batch was not attached."""
    spent: float = 0.0
    """How many seconds the batch has taken."""
    turn: float = 0.0
    """When the last of its interfaces was attached."""

    def is_due(self, now: float) -> bool:
        """Return whether one of the interfaces is to be attached now."""
        return bool(self.names) or (self.due is not None and self.due <= now)


class Hotplug:
    """The queue of new interfaces. Call `look` when a workload's links have changed and `forget` when it is
    gone; a call of the object attaches one due interface. All calls come from one thread.
    """

    def __init__(
        self,
        context: Context,
        controller: Loop,
        attach: Callable[[AttachRequest], object],
    ) -> None:
        self._context = context
        self._do = controller.do
        self._attach = attach
        self._waiting: dict[str, _Waiting] = {}

    def look(self, workload_id: str) -> None:
        """Find the workload's interfaces that are not spliced, and schedule their attach."""
        workload = self._context.registry.get(workload_id)
        if workload is None or not workload.all_interfaces:
            return
        waiting = self._waiting.setdefault(workload_id, _Waiting())
        now = time.monotonic()
        new = self._new(workload, waiting)
        if new:
            if waiting.due is None:
                waiting.first = now
            due = min(now + _QUIET_S, waiting.first + _LATEST_S)
            if self._in_quarantine(workload_id):
                due = now
        elif waiting.bare:
            due = min(waiting.bare.values()) + _BARE_S
        else:
            waiting.due = None
            return
        waiting.due = max(due, waiting.rests)

    def waits(self, workload_id: str) -> bool:
        """Return whether interfaces of the workload are about to be attached."""
        waiting = self._waiting.get(workload_id)
        return waiting is not None and (waiting.due is not None or bool(waiting.names))

    def forget(self, workload_id: str) -> None:
        """Forget a workload that is not attached any more. Idempotent."""
        self._waiting.pop(workload_id, None)

    def due_in_s(self) -> float | None:
        """Return in how many seconds the next interface is to be attached; None: there is none."""
        now = time.monotonic()
        dues = [now if one.names else one.due for one in self._waiting.values()]
        due = min((one for one in dues if one is not None), default=None)
        return None if due is None else max(0.0, due - now)

    def __call__(self) -> None:
        """Attach one interface, if one is due."""
        workload_id = self._next()
        if workload_id is None:
            return
        waiting = self._waiting[workload_id]
        began = time.monotonic()
        try:
            if not waiting.names:
                self._begin(workload_id, waiting)
            if waiting.names:
                name = waiting.names.popleft()
                # The controller runs all of it, so that the pid cannot become another's meanwhile.
                self._do(partial(self._attach_one, workload_id, waiting, name))
        finally:
            waiting.turn = time.monotonic()
            waiting.spent += waiting.turn - began
            if not waiting.names:
                self._end(waiting)

    def _next(self) -> str | None:
        """Return whose turn it is: quarantined workloads first, then the one that has waited longest."""
        now = time.monotonic()
        due = [one for one, waiting in self._waiting.items() if waiting.is_due(now)]
        return min(
            due,
            key=lambda one: (not self._in_quarantine(one), self._waiting[one].turn),
            default=None,
        )

    def _in_quarantine(self, workload_id: str) -> bool:
        workload = self._context.registry.get(workload_id)
        return (
            workload is not None
            and self._context.mode_of(workload).mode is Mode.QUARANTINE
        )

    def _begin(self, workload_id: str, waiting: _Waiting) -> None:
        """Collect the interfaces that are due now. What comes later waits for its own turn."""
        # Failed, until all of them are known.
        waiting.due, waiting.failed, waiting.spent = None, True, 0.0
        known = self._context.registry.get(workload_id)
        # This does not run in the controller, because a runtime may be slow.
        waiting.told_addresses = told_by_runtime(known) if known else ()
        # The controller runs this, because a splice takes an interface away for a moment.
        waiting.names.extend(self._do(partial(self._found, workload_id, waiting)))
        waiting.failed = False

    def _found(self, workload_id: str, waiting: _Waiting) -> tuple[str, ...]:
        workload = self._context.registry.get(workload_id)
        if workload is None or not process_alive(workload.process):
            return ()
        return self._new(workload, waiting)

    def _end(self, waiting: _Waiting) -> None:
        """Schedule a pause after all due interfaces were tried, and another try if one failed."""
        now = time.monotonic()
        waiting.rests = now + _PAUSES * waiting.spent
        waiting.tries = waiting.tries + 1 if waiting.failed else 0
        if waiting.failed:
            pause = min(_RETRY_MAX_S, _RETRY_S * 2 ** (waiting.tries - 1))
            waiting.due = now + pause

    def _new(self, workload: Workload, waiting: _Waiting) -> tuple[str, ...]:
        process = workload.process
        try:
            found = find(process)
            to_host = unspliced(self._context.instance, process, found.to_host)
            inwards = unspliced(self._context.instance, process, found.inwards)
        except NotFoundError:
            # Its process has ended.
            return ()
        for other in found.warnings:
            self._tell(workload, waiting, f"not inspected: {other}")
        ours = {port.interface for port in workload.ports}
        for name in ours.intersection((*to_host, *inwards)):
            # Another instance does this; what it passes still comes through us.
            told = f"{name} is not the inspected one, which was moved away; it stays as it is"
            self._tell(workload, waiting, told)
        waiting.own = frozenset(inwards) - ours
        inwards = self._bearable(
            workload, waiting, [name for name in inwards if name not in ours]
        )
        room = max(0, PORTS_MAX - len(workload.ports))
        if inwards[room:]:
            told = (
                f"not inspected: {inwards[room]}, it has {PORTS_MAX} interfaces already"
            )
            self._tell(workload, waiting, told)
        to_host = tuple(name for name in to_host if name not in ours)
        return _ripe(waiting, to_host, found.bare) + inwards[:room]

    def _bearable(
        self, workload: Workload, waiting: _Waiting, inwards: Sequence[str]
    ) -> tuple[str, ...]:
        """Return those of the interfaces to its own namespaces that do not carry too much; tell the others."""
        if not inwards:
            return ()
        try:
            found = too_much(workload.process, inwards)
        except NotFoundError:
            # Its process has ended.
            return ()
        for name, why in found.items():
            self._tell(workload, waiting, f"not inspected: {name}: {why}")
        return tuple(name for name in inwards if name not in found)

    def _attach_one(self, workload_id: str, waiting: _Waiting, name: str) -> None:
        workload = self._context.registry.get(workload_id)
        if workload is None or not process_alive(workload.process):
            return
        own = name in waiting.own
        if own and not self._bearable(workload, waiting, (name,)):
            # It was given them while others had their turn.
            return
        order = AttachRequest(
            pid=workload.process.pid,
            interfaces=(name,),
            hotplug=True,
            told=waiting.told_addresses,
            force=True,
        )
        try:
            self._attach(order)
        except NotFoundError:
            # The interface has gone again.
            return
        except Exception as error:
            why = str(error) or repr(error)
            self._tell(workload, waiting, f"not inspected: {name}: {why}")
            waiting.failed = True
            if not isinstance(error, SegctlError | OSError):
                raise

    def _tell(self, workload: Workload, waiting: _Waiting, what: str) -> None:
        if what not in waiting.told and len(waiting.told) < _TOLD:
            waiting.told.add(what)
            event = Event("lifecycle", what, workload=workload.name)
            self._context.happened(event)


def _ripe(
    waiting: _Waiting, new: tuple[str, ...], bare: frozenset[str]
) -> tuple[str, ...]:
    """Return the interfaces that have an address, or have been up without one for long enough."""
    now = time.monotonic()
    waiting.bare = {
        name: waiting.bare.get(name, now) for name in bare.intersection(new)
    }
    return tuple(
        name for name in new if name not in bare or now - waiting.bare[name] >= _BARE_S
    )

"""The way through the engine: the pair vbr-neuv/vth-neuv, with its filters, and the packet rings on it.

In: link events of the enforcer's namespace. Out: the pair again where somebody took it away, set it down or put
another in its place; an event for that, and for each device there that is nobody's. For the watcher's thread.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager

from pyctl.controller.context import Context
from pyctl.engine.supervisor import Supervisor
from pyctl.errors import NotFoundError
from pyctl.intercept.enforcer import (
    VBR_INDEX,
    VTH_INDEX,
    cut,
    ensure_enforcer,
    foreign_devices,
    remove_pair,
)
from pyctl.observe.poller import Eyes
from pyctl.platform.watch.links import LinkWatch
from pyctl.telemetry.events import Happening

_PAUSE_S = 1.0
"""Between two looks that found something: who takes the pair away all the time must not take the agent from the
workloads."""
_PAIR = frozenset({VBR_INDEX, VTH_INDEX})
_TOLD = 4
"""Foreign devices told by name at once."""


class Detour:
    """Calling it looks where something has changed; `close` it after `eyes`."""

    def __init__(
        self,
        context: Context,
        supervisor: Supervisor,
        lock: AbstractContextManager[object],
        eyes: Eyes,
    ) -> None:
        self._context = context
        self._supervisor = supervisor
        self._lock = lock
        self._eyes = eyes
        self._links = LinkWatch(str(context.instance.netns))
        self._foreign: dict[int, str] = {}
        """As told."""
        self._touched: set[int] = set(_PAIR)
        self._not_before = 0.0
        eyes.open(self._links.fileno(), self._changed)

    def close(self) -> None:
        """Let the namespace go."""
        self._links.close()

    def _changed(self) -> None:
        touched = self._links.touched()
        # Of what was lost, the pair is what nobody could do without.
        self._touched |= _PAIR if touched is None else touched

    def __call__(self) -> None:
        """Look, where it is due."""
        now = time.monotonic()
        if not self._touched or now < self._not_before:
            return
        self._not_before = now + _PAUSE_S
        touched, self._touched = self._touched, set()
        found = False
        try:
            with self._lock:
                found = bool(touched & _PAIR) and self._mend()
                found |= self._tell_foreign(touched - _PAIR)
        except NotFoundError:
            # The namespace has lost its name, which comes back.
            self._touched |= touched
        except Exception:
            self._touched |= touched
            raise
        if not found and not self._touched:
            self._not_before = 0.0

    def _mend(self) -> bool:
        """Return whether something was wrong. A pair that is only down is set up again, any other made anew: what
        its filters and the rings were bound to is not there any more.
        """
        instance, supervisor = self._context.instance, self._supervisor
        found = cut(instance)
        if found is None and supervisor.on_device():
            return False
        if found is None or not found.only_down:
            remove_pair(instance)
        ensure_enforcer(instance)
        if not supervisor.on_device():
            self._context.steering.drivers.hang_on_pair()
            supervisor.reopen_rings()
            self._context.bridge_is_new()
            self._context.steering.repair(None)
        why = found.why if found else "another pair was in its place"
        self._tell(f"the way through the engine was cut ({why}); it is open again")
        return True

    def _tell_foreign(self, touched: Collection[int]) -> bool:
        """Return whether there are any that were not told."""
        there = foreign_devices(self._context.instance, touched)
        for index in touched:
            if index not in there:
                self._foreign.pop(index, None)
        news = {
            index: name
            for index, name in there.items()
            if self._foreign.get(index) != name
        }
        self._foreign |= news
        if news:
            self._tell(told_foreign(news.values()))
        return bool(news)

    def _tell(self, line: str) -> None:
        self._context.happened(Happening("lifecycle", line))


def told_foreign(names: Iterable[str]) -> str:
    """In words, of so many by name."""
    found = sorted(names)
    shown = ", ".join(found[:_TOLD])
    if len(found) > _TOLD:
        shown += f" and {len(found) - _TOLD} more"
    return f"the enforcer's namespace has a device that is not segctl's: {shown}"

"""The way through the engine: the pair vbr-neuv/vth-neuv, with its filters, and the packet rings on it.

In: link events of the enforcer's namespace. Out: the pair again where somebody took it away, set it down or put
another in its place; an event for that, and for each device there that is nobody's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pyctl.controller.context import Context
from pyctl.engine.workers import Workers
from pyctl.intercept.enforcer import (
    VBR_INDEX,
    VTH_INDEX,
    cut,
    ensure_enforcer,
    foreign_devices,
    remove_pair,
)
from pyctl.platform.watch.links import LinkWatch
from pyctl.telemetry.events import Event

_PAIR = frozenset({VBR_INDEX, VTH_INDEX})
_TOLD = 4
"""How many foreign devices one event names."""


class Detour:
    """The watch of the pair vbr-neuv/vth-neuv; call `look` when a link of the namespace was touched."""

    def __init__(self, context: Context, engines: Workers) -> None:
        self._context = context
        self._engines = engines
        self._links = LinkWatch(str(context.instance.netns))
        self._foreign: dict[int, str] = {}
        """Name by index, as reported."""
        self._touched: set[int] = set(_PAIR)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a link was touched."""
        return self._links.fileno()

    def close(self) -> None:
        """Close the watch and release the namespace."""
        self._links.close()

    def look(self) -> bool:
        """Repair the pair, report foreign devices; return whether anything was wrong. The controller's loop
        calls it.
        """
        touched = self._links.touched()
        # If events were lost, look at the pair at least: nothing works without it.
        self._touched |= _PAIR if touched is None else touched
        found = bool(self._touched & _PAIR) and self._mend()
        found |= self._tell_foreign(self._touched - _PAIR)
        self._touched = set()
        return found

    def _mend(self) -> bool:
        """Repair the pair; return whether something was wrong. A pair that is only down is set up again, any
        other is made anew: what its filters and the rings were bound to is gone.
        """
        instance, engines = self._context.instance, self._engines
        found = cut(instance)
        if found is None and engines.on_device():
            return False
        if found is None or not found.only_down:
            remove_pair(instance)
        ensure_enforcer(instance)
        if not engines.on_device():
            self._context.steering.drivers.hang_on_pair()
            engines.reopen_rings()
            self._context.bridge_is_new()
            self._context.steering.repair(None)
        why = found.why if found else "another pair was in its place"
        self._tell(f"the way through the engine was cut ({why}); it is open again")
        return True

    def _tell_foreign(self, touched: Collection[int]) -> bool:
        """Report foreign devices; return whether any is new."""
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
        self._context.happened(Event("lifecycle", line))


def told_foreign(names: Iterable[str]) -> str:
    """Return a message that names up to four foreign devices."""
    found = sorted(names)
    shown = ", ".join(found[:_TOLD])
    if len(found) > _TOLD:
        shown += f" and {len(found) - _TOLD} more"
    return f"the enforcer's namespace has a device that is not segctl's: {shown}"

"""Filters that strangers touch: ours are put back, theirs in front of ours are told.

In: tc events of the enforcer's namespace. Out: the drivers' rules repaired; events. The controller does it.
"""

from __future__ import annotations

from collections.abc import Collection

from pyctl.controller.context import Context
from pyctl.platform.watch.filters import FilterWatch, Touched
from pyctl.telemetry.events import Event

_TOLD = 4
"""Lines told at once."""


class Filters:
    """`repair` when something was touched."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watch = FilterWatch(str(context.instance.netns))

    def fileno(self) -> int:
        """Readable when something was touched."""
        return self._watch.fileno()

    def close(self) -> None:
        """Let the namespace go."""
        self._watch.close()

    def repair(self) -> bool:
        """Undo what a stranger did; return whether there was anything. Our own changes look alike."""
        touched = self._watch.touched()
        found = self._context.steering.repair(touched)
        self.tell_foreign_filters(touched)
        if found:
            told = "; ".join(found[:_TOLD])
            if len(found) > _TOLD:
                told += f"; and {len(found) - _TOLD} more"
            self._context.happened(Event("lifecycle", f"rules repaired: {told}"))
        return bool(found)

    def tell_foreign_filters(self, touched: Collection[Touched] | None) -> None:
        """Filters of others that frames meet before ours, which are not ours to take away. None: anywhere."""
        for port_id, line in self._context.steering.foreign_filters(touched):
            workload = self._context.registry.by_port(port_id)
            name = workload.name if workload else None
            happened = Event("lifecycle", line, workload=name, port_id=port_id)
            self._context.happened(happened)

"""Filters that others touch: ours are restored, theirs in front of ours are reported.

In: tc events of the enforcer's namespace. Out: the drivers' rules repaired; events. The controller does it.
"""

from __future__ import annotations

from collections.abc import Collection

from pyctl.controller.context import Context
from pyctl.errors import SegctlError
from pyctl.platform.watch.filters import FilterWatch, Touched
from pyctl.telemetry.events import Event

_TOLD = 4
"""How many lines one event has."""


class Filters:
    """The watch of the namespace's filters; call `repair` when something was touched."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watch = FilterWatch(str(context.instance.netns))
        self._behind = False
        """The last repair failed: it is not known any more where to look."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when a filter was touched."""
        return self._watch.fileno()

    def close(self) -> None:
        """Close the watch and release the namespace."""
        self._watch.close()

    def repair(self) -> bool:
        """Repair what others did to our filters; return whether anything was wrong. SegctlError for what could
        not be repaired; the next call looks at all ports.
        """
        touched = self._watch.touched()
        if self._behind:
            touched = None
        self._behind = True
        found, failed = self._context.steering.repair(touched)
        if found:
            told = "; ".join(found[:_TOLD])
            if len(found) > _TOLD:
                told += f"; and {len(found) - _TOLD} more"
            self._context.happened(Event("lifecycle", f"rules repaired: {told}"))
        self.tell_foreign_filters(touched)
        if failed:
            raise SegctlError(f"rules not repaired: {'; '.join(failed[:_TOLD])}")
        self._behind = False
        return bool(found)

    def tell_foreign_filters(self, touched: Collection[Touched] | None) -> None:
        """Report others' filters that frames meet before ours, which stay. `touched` None: on any port."""
        for port_id, line in self._context.steering.foreign_filters(touched):
            workload = self._context.registry.by_port(port_id)
            name = workload.name if workload else None
            happened = Event("lifecycle", line, workload=name, port_id=port_id)
            self._context.happened(happened)

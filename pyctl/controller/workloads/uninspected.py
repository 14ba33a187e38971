"""Interfaces of attached workloads that lead out and are not inspected: known to whoever asks, and cut off
while the workload is in quarantine.

In: workloads. Out: Context.uninspected, and links set down and up again. I/O: through intercept. The
controller's loop calls it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from pyctl.controller.context import Context
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.uninspected import Uninspected, set_host_side, uninspected
from pyctl.model.workload import Mode, Workload
from pyctl.telemetry.events import Event


def look(context: Context, workload: Workload) -> tuple[Uninspected, ...]:
    """Find the workload's interfaces that are not inspected now, and remember them."""
    try:
        found = uninspected(context.instance, workload.process)
    except NotFoundError:
        # The workload has ended, or its namespace is being removed.
        found = ()
    unsteered = ((port, context.unsteered.get(port.port_id)) for port in workload.ports)
    found += tuple(
        Uninspected(port.interface, f"it is not steered, and carries nothing: {why}")
        for port, why in unsteered
        if why
    )
    context.note_uninspected(workload.id, found)
    return found


def cover(context: Context, workload: Workload) -> None:
    """Set the host's end of each uninspected interface down in quarantine, and the others up again.
    SegctlError names the interfaces that quarantine does not hold for.
    """
    quarantined = context.mode_of(workload).mode is Mode.QUARANTINE
    found = look(context, workload) if quarantined else ()
    release(context, workload, besides={one.interface for one in found})
    if not found:
        return
    left = [one for one in found if not _cut(context, workload, one.interface)]
    known = context.registry.get(workload.id) or workload
    cut = dict.fromkeys((*known.cut, *(one.interface for one in found)))
    context.registry.put(replace(known, cut=tuple(cut)))
    raise SegctlError(
        f"{workload.name} is in quarantine, but not inspected at {names(found)}",
        state=_state(found, left),
        advice="take these interfaces away from it, or end it",
    )


def release(
    context: Context, workload: Workload, besides: Collection[str] = ()
) -> None:
    """Set up again the interfaces that quarantine had set down."""
    back = [interface for interface in workload.cut if interface not in besides]
    if not back:
        return
    for interface in back:
        try:
            set_host_side(context.instance, workload.process, interface, up=True)
        except (SegctlError, OSError) as error:
            told = f"{interface} could not be set up again: {error}"
            context.happened(Event("lifecycle", told, workload=workload.name))
    known = context.registry.get(workload.id)
    if known is not None:
        left = tuple(one for one in known.cut if one not in back)
        context.registry.put(replace(known, cut=left))


def names(found: Iterable[Uninspected]) -> str:
    """Return the interfaces and reasons as text, for messages."""
    return "; ".join(f"{one.interface}: {one.reason}" for one in found)


def _state(found: tuple[Uninspected, ...], left: list[Uninspected]) -> str:
    cut = [one.interface for one in found if one not in left]
    said = [f"the host's end of {', '.join(cut)} was set down"] if cut else []
    if left:
        open_ = ", ".join(one.interface for one in left)
        said.append(
            f"{open_} has no end at the host: it was set down inside, where the workload may be able to "
            "set it up again"
        )
    return "; ".join((*said, "what is inspected is in quarantine"))


def _cut(context: Context, workload: Workload, interface: str) -> bool:
    return set_host_side(context.instance, workload.process, interface, up=False)

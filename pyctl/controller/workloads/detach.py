"""Detaching, and what is left to do when a container has gone by itself.

In: a DetachRequest, or a workload whose process ended. Out: the original interfaces back in the
workload, or, where there is no workload any more, nothing left of it anywhere.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import structlog

from pyctl.controller.context import Context
from pyctl.controller.workloads import uninspected
from pyctl.controller.workloads.attach_target import find_target
from pyctl.controller.workloads.in_netns import workload_in_netns
from pyctl.controller.workloads.release import release_many, release_ports
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.intercept.live_state import lost_by_detach, standing
from pyctl.model.workload import ProcessRef, Workload
from pyctl.platform.netns import bound_at
from pyctl.platform.process import process_alive
from pyctl.state.requests import DetachRequest, DetachResult
from pyctl.telemetry.events import Event

_log = structlog.get_logger()
_AT_ONCE = 12
"""How many workloads are detached in one turn, for which the next request waits."""


def detach(
    context: Context, order: DetachRequest, yield_to_waiters: Callable[[], None]
) -> DetachResult:
    """Give the named workloads their interfaces back. Nothing is done, without an error, if none is attached.

    A node's thousand workloads take minutes. After each few, when engine and kernel agree with the registry,
    `yield_to_waiters` runs waiting requests: a dead engine is replaced, others attach. What they detach is skipped;
    what they attach stays.
    """
    started = time.monotonic()
    lost = _lost_meant(context, order)
    workloads = [] if lost and not order.all else _meant(context, order)
    plan = [line for workload in workloads for line in _plan(context, workload)]
    plan += [f"{one.name}: attach it no more when its container starts" for one in lost]
    warnings: list[str] = []
    for one in () if order.dry_run else lost:
        warnings += _forget(context, one)
    failures: list[SegctlError] = []
    for first in range(0, 0 if order.dry_run else len(workloads), _AT_ONCE):
        if first:
            yield_to_waiters()
        batch = [
            replace(workload, all_interfaces=False)
            for meant in workloads[first : first + _AT_ONCE]
            if (workload := context.registry.get(meant.id))
            and _in_one_netns(workload.process, meant.process)
        ]
        _release(context, order, batch, warnings, failures)
        try:
            context.refresh()
        except SegctlError as error:
            failures.append(error)
    if failures:
        raise failures[0] if len(failures) == 1 else _together(failures)
    names = [workload.name for workload in (*workloads, *lost)]
    return DetachResult(names, plan, warnings, (time.monotonic() - started) * 1000)


def _plan(context: Context, workload: Workload) -> list[str]:
    """Return what detaching the workload would do, a line each, for --dry-run."""
    lost = [f"{workload.name}: lose: {one}" for one in _lost(context, workload)]
    return lost + [
        line
        for port in workload.ports
        for line in (
            f"{workload.name}: take {port.vin} and the workload's {port.interface} away",
            f"{workload.name}: move {port.vex} home as {port.interface}",
        )
    ] or [f"{workload.name}: it has no interface; wait for none any more"]


def _release(
    context: Context,
    order: DetachRequest,
    batch: list[Workload],
    warnings: list[str],
    failures: list[SegctlError],
) -> None:
    gone = {one.id for one in batch if not process_alive(one.process)}
    modes = Lock()

    def begin(workload: Workload) -> None:
        if not (order.force or order.all or workload.id in gone):
            _refuse_loss(context, workload)
        lost = _lost(context, workload)
        with modes:
            _tell_lost(context, workload, lost)
            warnings.extend(f"{workload.name}: {sentence}" for sentence in lost)

    for workload, failure in release_many(context, batch, begin):
        if failure:
            failures.append(_of(workload, failure))
            continue
        try:
            warnings += _detached(context, workload, gone=workload.id in gone)
            warnings += _forget(context, workload)
        except Exception as error:  # noqa: BLE001  whatever it is, the others go on
            failures.append(_of(workload, error))


def _refuse_loss(context: Context, workload: Workload) -> None:
    """Raise RefusedError if a detach destroys what came onto the workload's interfaces."""
    if lost := _lost(context, workload, costs=False):
        raise RefusedError(
            "; ".join(lost),
            state="it is attached still",
            advice="remove that first, or detach with --force",
        )


def _of(workload: Workload, error: Exception) -> SegctlError:
    """Return the error as a SegctlError that names the workload."""
    if not isinstance(error, SegctlError):
        _log.error("detaching failed", workload=workload.name, exc_info=error)
        error = SegctlError(
            f"detaching failed: {type(error).__name__}: {error}",
            state="it is attached still, or half of it",
            advice="`segctl list` shows it; detach it again",
        )
    error.tried = f"{workload.name}: {error.tried}"
    return error


def _together(failures: list[SegctlError]) -> SegctlError:
    return SegctlError(
        f"{len(failures)} steps of the detach failed: "
        + "; ".join(str(failure).rstrip(".") for failure in failures),
        state="all else is detached",
    )


def _lost_meant(context: Context, order: DetachRequest) -> list[Workload]:
    """Return the named containers that do not run now and would be attached again."""
    lost = [one.workload for one in context.memory.lost(context.registry.by_id)]
    ref = order.workload or order.container
    if order.all or ref is None:
        return lost if order.all else []
    attached = {name for one in context.registry.all() for name in (one.name, one.id)}
    return [one for one in lost if ref in (one.name, one.id) and ref not in attached]


def _meant(context: Context, order: DetachRequest) -> list[Workload]:
    if order.all:
        return context.registry.all()
    if order.workload is not None:
        return [context.registry.find(order.workload)]
    for workload in context.registry.all():
        if order.pid is not None and workload.process.pid == order.pid:
            return [workload]
        if order.container is not None and order.container in (
            workload.name,
            workload.id,
        ):
            return [workload]
    target = find_target(order.pid, order.container, order.container_host)
    known = workload_in_netns(context.registry.all(), target.process)
    return [known] if known else []


def _lost(context: Context, workload: Workload, *, costs: bool = True) -> list[str]:
    """Return what is lost together with our interfaces, and what it costs; nothing if the workload is gone."""
    with contextlib.suppress(NotFoundError):
        return [
            sentence
            for port in workload.ports
            for sentence in lost_by_detach(context.instance, port, costs=costs)
        ]
    return []


def _tell_lost(context: Context, workload: Workload, lost: list[str]) -> None:
    for sentence in lost:
        event = Event("lifecycle", sentence, workload=workload.name)
        context.happened(event)


def detach_workload(context: Context, workload: Workload) -> list[str]:
    """Undo all splices of one workload; return warnings. A failed port stays attached. Its remembered mode
    and order stay.
    """
    gone = not process_alive(workload.process)
    _tell_lost(context, workload, _lost(context, workload))
    release_ports(context, replace(workload, all_interfaces=False), workload.ports)
    return _detached(context, workload, gone=gone)


def _detached(context: Context, workload: Workload, *, gone: bool) -> list[str]:
    if not workload.ports:
        context.registry.drop(workload.id)
    context.note_uninspected(workload.id, ())
    if not gone:
        uninspected.release(context, workload)
    context.happened(Event("lifecycle", "detached", workload=workload.name))
    return [_what_is_left(workload)] if gone else []


def _in_one_netns(one: ProcessRef, other: ProcessRef) -> bool:
    return (one.netns, one.cookie) == (other.netns, other.cookie)


def _what_is_left(ended: Workload) -> str:
    names = ", ".join(port.interface for port in ended.ports)
    kept = None
    with contextlib.suppress(SegctlError):
        kept = bound_at(ended.process.netns, ended.process.cookie) if names else None
    if kept is None:
        return f"{ended.name} had ended; nothing of it is left"
    return (
        f"{ended.name} had ended; its network namespace lives on as {kept}, which has {names} back and is "
        "not protected any more: attach again whoever enters it"
    )


def _forget(context: Context, workload: Workload) -> list[str]:
    """Forget the workload's order and mode, so that it is not attached again; return warnings."""
    try:
        context.memory.forget_workload(workload)
    except SegctlError as error:
        return [f"{error}; it is attached again when its container starts anew"]
    return []


def drop_broken_ports(context: Context, workload: Workload) -> list[str]:
    """Release ports of which the workload or the host deleted an end, and remove what is left of them. Return
    a warning for each.
    """
    names = {name for port in workload.ports for name in (port.vex, port.vin)}
    if not names:
        return []
    there = standing(context.instance, names)
    broken = tuple(port for port in workload.ports if not {port.vex, port.vin} <= there)
    release_ports(context, workload, broken)
    return [
        f"{workload.name}: {port.interface} was deleted; let go of it"
        for port in broken
    ]


def drop_and_tell_broken_ports(context: Context, workload: Workload) -> bool:
    """Release broken ports as drop_broken_ports, with an event for each; return whether there were any."""
    lost = drop_broken_ports(context, workload)
    if lost:
        context.refresh()
    for warning in lost:
        context.happened(Event("lifecycle", warning))
    return bool(lost)


def cleanup_dead_workload(context: Context, workload: Workload) -> None:
    """Detach a workload whose namespace has no process any more. A namespace that is bound gets its interface
    back; else everything is removed, the host's end of the link included.
    """
    warnings = detach_workload(context, workload)
    context.refresh()
    for warning in warnings:
        context.happened(Event("lifecycle", warning, workload=workload.name))

"""Detaching, and what is left to do when a container has gone by itself.

In: a DetachOrder, or a workload whose process ended. Out: the original interfaces back in the
workload, or, where there is no workload any more, nothing left of it anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from pyctl.agent.context import Context
from pyctl.agent.events import Happening
from pyctl.agent.orders import DetachOrder, DetachResult
from pyctl.agent.release import release_many, release_ports
from pyctl.agent.target import find_target
from pyctl.errors import SegctlError
from pyctl.intercept.presence import refuse_detach, standing
from pyctl.model.workload import RuntimeKind, Workload
from pyctl.platform.process import process_alive

_AT_ONCE = 12
"""So many workloads are detached in one turn; the next request waits for no more."""


def detach(
    context: Context, order: DetachOrder, give_way: Callable[[], None]
) -> DetachResult:
    """Give the named workloads their interfaces back. Not attached: nothing to do, no error.

    A node's thousand workloads take minutes. After each few, when engine and kernel agree with the
    registry, `give_way` lets in whoever waits: a dead engine is replaced, others attach. What they
    detached meanwhile is left out; what they attached stays.
    """
    started = time.monotonic()
    workloads = _meant(context, order)
    plan = [line for workload in workloads for line in _plan(workload)]
    warnings: list[str] = []
    failures: list[SegctlError] = []
    for first in range(0, 0 if order.dry_run else len(workloads), _AT_ONCE):
        if first:
            give_way()
        batch = [
            replace(workload, whole=False)
            for meant in workloads[first : first + _AT_ONCE]
            if (workload := context.registry.get(meant.id))
            and workload.process == meant.process
        ]
        _release(context, batch, warnings, failures)
        try:
            context.refresh()
        except SegctlError as error:
            failures.append(error)
        context.watched()
    if failures:
        raise failures[0] if len(failures) == 1 else _together(failures)
    names = [workload.name for workload in workloads]
    return DetachResult(names, plan, warnings, (time.monotonic() - started) * 1000)


def _plan(workload: Workload) -> list[str]:
    """In words, for --dry-run."""
    return [
        line
        for port in workload.ports
        for line in (
            f"{workload.name}: take {port.vin} and the workload's {port.interface} away",
            f"{workload.name}: move {port.vex} home as {port.interface}",
        )
    ] or [f"{workload.name}: it has no interface; wait for none any more"]


def _release(
    context: Context,
    batch: list[Workload],
    warnings: list[str],
    failures: list[SegctlError],
) -> None:
    gone = {one.id for one in batch if not process_alive(one.process)}
    modes = Lock()

    def begin(workload: Workload) -> None:
        _refuse_loss(context, workload)
        with modes:
            _keep_mode(context, workload, gone=workload.id in gone)

    for workload, failure in release_many(context, batch, begin):
        if failure:
            failures.append(failure)
        else:
            warnings += _detached(context, workload, gone=workload.id in gone)


def _together(failures: list[SegctlError]) -> SegctlError:
    return SegctlError(
        f"{len(failures)} steps of the detach failed: "
        + "; ".join(failure.tried for failure in failures),
        state="all else is detached",
        advice=failures[0].advice,
    )


def _meant(context: Context, order: DetachOrder) -> list[Workload]:
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
    known = context.registry.in_netns(target.process.netns)
    return [known] if known else []


def _refuse_loss(context: Context, workload: Workload) -> None:
    if not process_alive(workload.process):
        return
    for port in workload.ports:
        path = f"/proc/{workload.process.pid}/ns/net"
        refuse_detach(context.instance, path, port)


def detach_workload(context: Context, workload: Workload) -> list[str]:
    """Undo all splices of one workload; gives warnings. A failed port stays attached."""
    gone = not process_alive(workload.process)
    _keep_mode(context, workload, gone=gone)
    release_ports(context, replace(workload, whole=False), workload.ports)
    return _detached(context, workload, gone=gone)


def _detached(context: Context, workload: Workload, *, gone: bool) -> list[str]:
    if not workload.ports:
        context.registry.drop(workload.id)
    context.happened(Happening("lifecycle", "detached", workload=workload.name))
    return [f"{workload.name} had ended; nothing of it is left"] if gone else []


def _keep_mode(context: Context, workload: Workload, *, gone: bool) -> None:
    """A container may start again; a process does not, and its id says nothing of the next one."""
    kept = workload if gone else replace(workload, forced_mode=None)
    if workload.runtime == RuntimeKind.PROCESS:
        return
    try:
        context.store.keep_mode(kept)
    except SegctlError as error:
        context.happened(Happening("lifecycle", str(error), workload=workload.name))


def shed(context: Context, workload: Workload) -> list[str]:
    """Let go of ports that are broken: the workload, or the host, deleted an end of them. What
    is left of such a port is removed; gives a warning for each.
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


def bury(context: Context, workload: Workload) -> None:
    """Its process has ended. A namespace that lives on (another process, a bind mount) gets its
    interface back; else everything of it is removed, the host's end of the link included.
    """
    warnings = detach_workload(context, workload)
    context.refresh()
    for warning in warnings:
        context.happened(Happening("lifecycle", warning, workload=workload.name))

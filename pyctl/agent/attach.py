"""Attaching one workload: all of its interfaces, or none.

In: an AttachOrder. Out: the workload in the registry, spliced, steered and judged. The workload is
written to disk while a splice still has its journal, so that at any moment of a kill either the
journal or the registry knows of every port; what a recovery finds undone is dropped from both.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

import structlog

from pyctl.agent.context import Context
from pyctl.agent.detach import bury
from pyctl.agent.events import Happening
from pyctl.agent.orders import AttachOrder, AttachResult
from pyctl.agent.release import release_ports
from pyctl.agent.target import Target, find_target
from pyctl.errors import RefusedError, SegctlError
from pyctl.intercept.attach import preview, splice
from pyctl.intercept.presence import draft_port, unspliced
from pyctl.intercept.select import candidates, refuse_netns, select_interfaces
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    Mode,
    Offload,
    OtherTraffic,
    Port,
    Workload,
)
from pyctl.platform.process import process_alive
from pyctl.runtime.base import Container

_log = structlog.get_logger()


def attach(context: Context, order: AttachOrder) -> AttachResult:
    """Splice what the order names. Attached already: its options are brought up to date, and what
    it has of interfaces that are not spliced yet is.
    """
    started = time.monotonic()
    target = find_target(order.pid, order.container, order.container_host, order.found)
    known = context.registry.in_netns(target.process.netns)
    if known is not None:
        return _attach_more(context, known, target, order, started)
    datapath = context.steering.drivers.choose(order.datapath)
    refuse_netns(context.instance, target.process)
    choose = candidates if order.by_itself else select_interfaces
    interfaces, warnings = choose(target.process, order.interfaces)
    workload = _new_workload(context, target, order, datapath)
    if order.dry_run:
        plan = _preview(context, target, interfaces)
        if workload.offload is Offload.OFF:
            plan.append("switch its offloads and those of vbr-neuv off")
        return AttachResult(None, plan, list(warnings), False, _ms_since(started))
    context.steering.drivers.of(datapath)
    workload = _splice_all(context, workload, interfaces)
    if not order.interfaces:
        workload = replace(workload, whole=True)
        context.registry.put(workload)
    return _attached(context, workload, interfaces, list(warnings), started)


def rename(context: Context, container: Container, before: str) -> None:
    """A container that is attached under its own name has another by now. RefusedError where that is
    another workload's.
    """
    known = context.registry.get(container.short_id)
    if known is None or known.name != before:
        return
    others = [other for other in context.registry.all() if other.id != known.id]
    _refuse_taken(others, container.name, known.id)
    context.registry.put(replace(known, name=container.name))
    context.refresh()
    told = f"it was called {before}"
    context.happened(Happening("lifecycle", told, workload=container.name))


def _attach_more(
    context: Context,
    known: Workload,
    target: Target,
    order: AttachOrder,
    started: float,
) -> AttachResult:
    """An attached workload: its options as the order says, and its interfaces that are not
    spliced yet.
    """
    interfaces, warnings = _not_spliced(context, target, order)
    plan = _update(context, known, order)
    if order.dry_run:
        plan += _preview(context, target, interfaces)
        return AttachResult(None, plan, warnings, not interfaces, _ms_since(started))
    workload = context.registry.get(known.id) or known
    if not interfaces:
        plan = plan or ["attached already; nothing to change"]
        return AttachResult(workload, plan, warnings, True, _ms_since(started))
    workload = _splice_all(context, workload, interfaces)
    return _attached(context, workload, interfaces, warnings, started)


def _preview(
    context: Context, target: Target, interfaces: tuple[str, ...]
) -> list[str]:
    return [
        line
        for interface in interfaces
        for line in preview(context.instance, target.process, interface)
    ]


def _attached(
    context: Context,
    workload: Workload,
    interfaces: tuple[str, ...],
    warnings: list[str],
    started: float,
) -> AttachResult:
    context.refresh()
    if workload.offload is Offload.OFF:
        context.switch_offloads(workload)
    context.watched()
    elapsed = _ms_since(started)
    ports = [port for port in workload.ports if port.interface in interfaces]
    plan = [f"spliced {port.interface}: {port.vex}, {port.vin}" for port in ports]
    names = ", ".join(port.interface for port in ports) or "no interface yet"
    told = f"attached ({names}) in {elapsed:.0f} ms"
    context.happened(Happening("lifecycle", told, workload=workload.name))
    return AttachResult(workload, plan, warnings, False, elapsed)


def _new_workload(
    context: Context, target: Target, order: AttachOrder, datapath: DatapathKind
) -> Workload:
    container = target.container
    workload_id = container.short_id if container else f"pid-{target.process.pid}"
    default_name = container.name if container else workload_id
    name = order.name or default_name
    if not order.dry_run:
        _bury_former(context, name, workload_id)
    if order.by_itself and any(name == one.name for one in context.registry.all()):
        # Nobody is there to give it another.
        name = f"{name}-{workload_id}"
    _refuse_taken(context.registry.all(), name, workload_id)
    workload = Workload(
        id=workload_id,
        name=name,
        process=target.process,
        labels={**(container.labels if container else {}), **order.labels},
        image=container.image if container else None,
        runtime=container.runtime if container else "process",
        datapath=datapath,
        attach_mode=order.mode or Mode.DISCOVER,
        fail=order.fail or Fail.AUTO,
        other_traffic=order.other_traffic or OtherTraffic.AUTO,
        any_source=bool(order.any_source),
        offload=order.offload or Offload.ON,
    )
    return context.store.with_mode(workload) if container else workload


def _bury_former(context: Context, name: str, workload_id: str) -> None:
    """A container that starts again may be sooner than the burial of its former process."""
    for other in context.registry.all():
        taken = name == other.name or workload_id == other.id
        if taken and not process_alive(other.process):
            bury(context, other)


def _refuse_taken(others: list[Workload], name: str, workload_id: str) -> None:
    """The id too: a pid may be used again before the former process is buried."""
    for other in others:
        if name == other.name or workload_id == other.id:
            raise RefusedError(
                f"a workload called {name!r} is attached already (pid {other.process.pid})",
                state="nothing was touched",
                advice="give another with --name",
            )


def _attach_port(context: Context, workload: Workload, interface: str) -> Workload:
    port_id = context.new_port_id()
    draft = draft_port(workload.process, interface, port_id)
    with_port = replace(workload, ports=(*workload.ports, draft))

    def ports_ready(port: Port) -> None:
        """The links exist and are down: from the first frame on, the policy holds."""
        nonlocal with_port
        with_port = replace(workload, ports=(*workload.ports, port))
        context.registry.put(with_port)
        context.steer(with_port, port)
        context.joined(port)

    try:
        context.prepare(with_port, draft)
        splice(
            context.instance,
            workload.process,
            interface,
            port_id,
            ports_ready=ports_ready,
        )
    except BaseException:
        context.steering.remove(port_id)
        context.keep_or_drop(workload)
        raise
    return with_port


def _splice_all(
    context: Context, before: Workload, interfaces: tuple[str, ...]
) -> Workload:
    """All of the interfaces, or none of them; what was attached before stays."""
    workload = before
    for interface in interfaces:
        try:
            workload = _attach_port(context, workload, interface)
        except BaseException:
            with contextlib.suppress(SegctlError):
                release_ports(context, workload, workload.ports[len(before.ports) :])
            raise
    return workload


def _not_spliced(
    context: Context, target: Target, order: AttachOrder
) -> tuple[tuple[str, ...], list[str]]:
    """What an attached workload has beyond its ports: named now, or new since."""
    found, warnings = candidates(target.process, order.interfaces)
    return unspliced(context.instance, target.process, found), list(warnings)


def _update(context: Context, known: Workload, order: AttachOrder) -> list[str]:
    """Bring the options of an attached workload to what the order says, where it says it."""
    others = [other for other in context.registry.all() if other.id != known.id]
    _refuse_taken(others, order.name or known.name, known.id)
    wanted = replace(
        known,
        name=order.name or known.name,
        labels={**known.labels, **order.labels},
        attach_mode=order.mode or known.attach_mode,
        fail=order.fail or known.fail,
        other_traffic=order.other_traffic or known.other_traffic,
        any_source=known.any_source if order.any_source is None else order.any_source,
        datapath=order.datapath or known.datapath,
        offload=order.offload or known.offload,
        whole=known.whole or not order.interfaces,
    )
    before, after = vars(known), vars(wanted)
    plan = [f"set {key} to {after[key]}" for key in after if after[key] != before[key]]
    if plan and not order.dry_run:
        if wanted.datapath is not known.datapath:
            _move(context, known, wanted)
            known = replace(known, datapath=wanted.datapath)
        context.registry.put(wanted)
        try:
            context.refresh()
            if wanted.offload is not known.offload:
                context.switch_offloads(wanted)
        except SegctlError:
            context.registry.put(known)
            context.refresh()
            raise
    return plan


def _move(context: Context, known: Workload, wanted: Workload) -> None:
    """To the other datapath; remembered first, so that a killed agent's successor goes on."""
    context.steering.drivers.of(wanted.datapath)
    moving = replace(known, datapath=wanted.datapath)
    context.registry.put(moving)
    try:
        context.move(moving)
    except BaseException:
        context.registry.put(known)
        with contextlib.suppress(SegctlError):
            context.move(known)
        raise


def _ms_since(started: float) -> float:
    return (time.monotonic() - started) * 1000

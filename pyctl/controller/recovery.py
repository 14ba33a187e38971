"""What an agent does with what it finds: half-done splices, steered pairs, strays.

In: journals, the registry, the enforcer namespace. Out: every port either owned and steered, or
gone. No packet of a healthy pair is touched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import structlog

from pyctl.controller.context import Context
from pyctl.controller.segments import know_segments
from pyctl.controller.workloads import succession, uninspected
from pyctl.controller.workloads.detach import detach_workload, drop_broken_ports
from pyctl.engine.workers import Workers
from pyctl.errors import SegctlError
from pyctl.intercept.detach import cleanup, unsplice
from pyctl.intercept.live_state import present_ports, with_indexes
from pyctl.intercept.recover import Orphan, Outcome, Recovered, find_orphans, recover
from pyctl.intercept.steps.journal import pending, port_names
from pyctl.model.workload import Offload, Port, Workload
from pyctl.platform import netns
from pyctl.platform.inhabitants import find
from pyctl.platform.process import process_alive
from pyctl.telemetry.events import Event

_log = structlog.get_logger()
_STEP = 16
"""The log gets a line after every so many workloads that were taken over."""


def keep_name(context: Context, engines: Workers) -> None:
    """Give the enforcer namespace its name back if somebody deleted it. The namespace lives on without a
    name, with all attached workloads in it; a new one would strand them. RefusedError if another has the
    name.
    """
    fd = engines.namespace()
    if fd is None:
        return
    try:
        if netns.bind(context.instance.netns, fd):
            told = "the enforcer namespace had lost its name; it has it again"
            context.happened(Event("lifecycle", told))
    finally:
        os.close(fd)


def finish_journals(context: Context) -> list[str]:
    """Roll back or finish every splice whose process was killed; return what was done, a line each. What
    could not be finished is in Context.unfinished, and is logged once.
    """
    recovered = recover(context.instance)
    failed, done = [], []
    for one in recovered:
        if one.outcome is Outcome.FAILED:
            failed.append(_told(one))
        else:
            done.append(_told(one))
    held = len(pending(context.instance.journal_dir)) - len(failed)
    if held > 0:
        # A killed agent's locks are released one by one, the instance's before these.
        failed.append(f"a process that is ending holds interrupted splices: {held}")
    news = [line for line in failed if line not in context.unfinished]
    context.unfinished = tuple(failed)
    if failed:
        context.on_due()
    for line in done:
        _log.warning(line)
    for line in news:
        _log.error(line)
    if done or news:
        _drop_undone_ports(context)
    return done + news


def _told(one: Recovered) -> str:
    pid = one.process.pid if one.process else "?"
    line = f"interrupted {one.action} of {one.interface} (process {pid}): {one.outcome}"
    return f"{line}: {one.detail}" if one.detail else line


def _drop_undone_ports(context: Context) -> None:
    instance = context.instance
    # A workload is kept until its journal is finished.
    present = present_ports(instance) | port_names(instance.journal_dir)
    for workload in context.registry.all():
        there = tuple(port for port in workload.ports if {port.vex, port.vin} & present)
        for port in set(workload.ports) - set(there):
            context.steering.remove(port.port_id)
        if there != workload.ports:
            context.keep_or_drop(replace(workload, ports=there))


def adopt_workloads(context: Context) -> list[str]:
    """Take over what an earlier agent attached. Enforcer, driver and engine must be in place. What fails for
    one workload is a warning and does not stop the others.
    """
    put_on = context.steering.drivers.put_on
    warnings = context.registry.load(lambda one: put_on(one, one.datapath))
    tried = partial(_as_warnings, warnings)
    with tried("ports of interrupted splices"):
        _drop_undone_ports(context)
    for workload in context.registry.all():
        with tried(f"the ports of {workload.name}"):
            warnings += drop_broken_ports(context, workload)
    done_with = _done_with(context)
    with tried("the host's bridges"):
        know_segments(context)
    workloads = context.registry.all()
    for number, workload in enumerate(workloads):
        if number and number % _STEP == 0:
            _log.info(f"starting: {number} of {len(workloads)} workloads taken over")
        if workload.id in done_with:
            warnings.append(f"{workload.name} ended while no agent ran")
            with tried(f"removing {workload.name}"):
                warnings += detach_workload(context, workload)
            continue
        warnings += _steer(context, workload, workload.ports)
        if workload.offload is Offload.OFF:
            with tried(f"the offloads of {workload.name}"):
                context.switch_offloads(workload)
    known = [port for workload in context.registry.all() for port in workload.ports]
    with tried("stray ports"):
        for orphan in find_orphans(context.instance, known):
            warnings.append(f"removed stray ports {orphan.vex} {orphan.vin}")
            with tried(f"ports {orphan.vex} {orphan.vin}"):
                _send_home(context, orphan)
    with tried("the policy"):
        # Workloads that ended meanwhile leave their groups. If this fails, it is tried again.
        context.refresh()
    with tried("the offloads"):
        context.switch_bridge()
    return warnings


def resync(context: Context) -> None:
    """Retry what failed before: finish interrupted splices, steer ports, update the kernel. What fails again
    keeps nothing else waiting. What is new is an event. SegctlError if something is left.
    """
    lines: list[str] = []
    failed: list[str] = []
    tried = partial(_as_warnings, failed)
    with tried("interrupted splices"):
        lines += finish_journals(context) if context.unfinished else []
    owners: dict[str, Workload] = {}
    for port_id in list(context.unsteered):
        workload = context.registry.by_port(port_id)
        if workload is None:
            del context.unsteered[port_id]
        else:
            owners[workload.id] = workload
    for workload in owners.values():
        left = tuple(p for p in workload.ports if p.port_id in context.unsteered)
        with tried(f"the ports of {workload.name}"):
            lines += drop_broken_ports(context, workload)
            still = context.registry.get(workload.id)
            left = tuple(p for p in still.ports if p in left) if still else ()
            lines += _steer(context, workload, left)
    for line in lines:
        context.happened(Event("lifecycle", line))
    if context.stale or lines:
        context.refresh()
    if due := [*failed, *context.due()]:
        raise SegctlError("; ".join(due))


def _steer(context: Context, workload: Workload, ports: tuple[Port, ...]) -> list[str]:
    """Steer these ports of a workload, with their current indexes. A port that cannot be steered carries
    nothing and is tried again; return what is new, a line each.
    """
    lines = []
    for port in ports:
        name = f"{workload.name}: {port.interface}"
        before = context.unsteered.get(port.port_id)
        try:
            _steer_port(context, workload.id, port)
        except Exception as error:  # noqa: BLE001  whatever it is, the other workloads are steered
            why = str(error) or repr(error)
            context.unsteered[port.port_id] = why
            context.on_due()
            if why != before:
                lines.append(f"{name} is not steered, and carries nothing: {why}")
        else:
            context.unsteered.pop(port.port_id, None)
            if before:
                lines.append(f"{name} is steered again")
    if lines:
        uninspected.look(context, context.registry.by_id[workload.id])
    return lines


def _steer_port(context: Context, workload_id: str, port: Port) -> None:
    # An interrupted splice may have made the port anew.
    now = with_indexes(context.instance, port)
    workload = context.registry.by_id[workload_id]
    if now != port:
        ports = tuple(now if one == port else one for one in workload.ports)
        workload = replace(workload, ports=ports)
        context.registry.put(workload)
    context.prepare(workload, now)
    context.steer(workload, now)


@contextlib.contextmanager
def _as_warnings(warnings: list[str], what: str) -> Iterator[None]:
    """Turn an error of the block into a warning, so that the agent goes on."""
    try:
        yield
    except (OSError, SegctlError) as error:
        warnings.append(f"{what}: {error}")
    except Exception as error:  # noqa: BLE001  the state of one workload must not end the agent
        _log.error("taking over failed", of=what, exc_info=error)
        warnings.append(f"{what}: {error!r}")


def _done_with(context: Context) -> set[str]:
    """Return the ids of the workloads in whose namespace no process is left. The others go on with another
    process.
    """
    ended = [one for one in context.registry.all() if not process_alive(one.process)]
    # A dead namespace's inode number may be another's by now; an existing port proves that it lives.
    same = [one for one in ended if one.ports or _found(one)]
    try:
        gone = succession.settle(context, same)
    except (OSError, SegctlError) as error:
        # The running agent looks at them again; nothing is touched before.
        _log.warning("not known whether it ended", error=str(error))
        gone = []
    return {one.id for one in [*gone, *ended] if one in gone or one not in same}


def _found(workload: Workload) -> bool:
    fd = find(workload.process.netns, workload.process.cookie, workload.process.pid)
    if fd is not None:
        os.close(fd)
    return fd is not None


def _send_home(context: Context, orphan: Orphan) -> None:
    """Remove a port that no workload owns; give its interface back to its workload, if that lives."""
    port = orphan.port
    if port is None:
        cleanup(context.instance, orphan.vex, orphan.vin)
        return
    unsplice(context.instance, orphan.process, port)
    context.steering.remove(port.port_id)

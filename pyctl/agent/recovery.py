"""What an agent does with what it finds: half-done splices, steered pairs, strays.

In: journals, the registry, the enforcer namespace. Out: every port either owned and steered, or
gone. No packet of a healthy pair is touched.
"""

from __future__ import annotations

import os
from dataclasses import replace

import structlog

from pyctl.agent.context import Context
from pyctl.agent.detach import detach_workload, shed
from pyctl.agent.events import Happening
from pyctl.agent.supervisor import Supervisor
from pyctl.intercept.detach import unsplice
from pyctl.intercept.presence import present_ports, remove_orphan
from pyctl.intercept.recover import Orphan, Outcome, Recovered, find_orphans, recover
from pyctl.model.workload import Offload
from pyctl.platform import netns
from pyctl.platform.process import process_alive

_log = structlog.get_logger()


def keep_name(context: Context, supervisor: Supervisor) -> None:
    """Somebody may have deleted the enforcer namespace by hand: it lives on without a name, with
    all attached workloads in it. A new one in its place would strand them. RefusedError where
    there is one.
    """
    fd = supervisor.namespace()
    if fd is None:
        return
    try:
        if netns.bind(context.instance.netns, fd):
            told = "the enforcer namespace had lost its name; it has it again"
            context.happened(Happening("lifecycle", told))
    finally:
        os.close(fd)


def finish_journals(context: Context) -> list[str]:
    """Roll back or finish every splice whose process was killed; gives what was done."""
    recovered = recover(context.instance)
    lines = [_told(one) for one in recovered]
    for one, line in zip(recovered, lines, strict=True):
        level = _log.error if one.outcome is Outcome.FAILED else _log.warning
        level(line)
    if recovered:
        _drop_undone_ports(context)
    return lines


def _told(one: Recovered) -> str:
    pid = one.process.pid if one.process else "?"
    line = f"interrupted {one.action} of {one.interface} (process {pid}): {one.outcome}"
    return f"{line}: {one.detail}" if one.detail else line


def _drop_undone_ports(context: Context) -> None:
    present = present_ports(context.instance)
    for workload in context.registry.all():
        there = tuple(port for port in workload.ports if {port.vex, port.vin} & present)
        for port in set(workload.ports) - set(there):
            context.steering.remove(port.port_id)
        if there != workload.ports:
            context.keep_or_drop(replace(workload, ports=there))


def adopt_workloads(context: Context) -> list[str]:
    """Take over what an earlier agent attached. Needs enforcer, driver and engine in place."""
    warnings = context.registry.load()
    _drop_undone_ports(context)
    for workload in context.registry.all():
        warnings += shed(context, workload)
    for workload in context.registry.all():
        if process_alive(workload.process):
            for port in workload.ports:
                context.prepare(workload, port)
                context.steer(workload, port)
            if workload.offload is Offload.OFF:
                context.switch_offloads(workload)
        else:
            warnings.append(f"{workload.name} ended while no agent ran")
            warnings += detach_workload(context, workload)
    known = [port for workload in context.registry.all() for port in workload.ports]
    for orphan in find_orphans(context.instance, known):
        warnings.append(f"removed stray ports {orphan.vex} {orphan.vin}")
        _send_home(context, orphan)
    # Those that ended meanwhile are in nobody's group any more.
    context.refresh()
    context.switch_bridge()
    return warnings


def _send_home(context: Context, orphan: Orphan) -> None:
    """A port that no workload knows: its workload gets its interface back, if it lives."""
    port = orphan.port
    if port is None:
        remove_orphan(context.instance, orphan)
        return
    unsplice(context.instance, orphan.process, port, before_restore=lambda: None)
    context.steering.remove(port.port_id)

"""What an agent does with what it finds: half-done splices, steered pairs, strays.

In: journals, the registry, the enforcer namespace. Out: every port either owned and steered, or
gone. No packet of a healthy pair is touched.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from pyctl.agent.context import Context
from pyctl.agent.detach import detach_workload
from pyctl.agent.steering import port_pair
from pyctl.intercept.recover import find_orphans, recover, remove_orphan
from pyctl.intercept.state import port_exists
from pyctl.model.workload import Workload
from pyctl.platform.process import process_alive

_log = structlog.get_logger()


def finish_journals(context: Context) -> list[str]:
    """Roll back or finish every splice whose process was killed; gives what was done."""
    done = [str(result) for result in recover(context.instance)]
    for line in done:
        _log.warning("recovered", result=line)
    if done:
        _drop_undone_ports(context)
    return done


def _drop_undone_ports(context: Context) -> None:
    for workload in context.registry.all():
        there = tuple(
            port for port in workload.ports if port_exists(context.instance, port)
        )
        for port in set(workload.ports) - set(there):
            context.steering.remove(port.port_id)
        if there != workload.ports:
            context.keep_or_drop(replace(workload, ports=there))


def adopt_workloads(context: Context) -> list[str]:
    """Take over what an earlier agent attached. Needs enforcer, driver and engine in place."""
    warnings = context.registry.load()
    _drop_undone_ports(context)
    for workload in context.registry.all():
        if process_alive(workload.process):
            _adopt(context, workload)
        else:
            warnings.append(f"{workload.name} ended while no agent ran")
            warnings += detach_workload(context, workload)
    known = [port for workload in context.registry.all() for port in workload.ports]
    for orphan in find_orphans(context.instance, known):
        warnings.append(f"removed a stray interface: {orphan}")
        remove_orphan(context.instance, orphan)
    return warnings


def _adopt(context: Context, workload: Workload) -> None:
    policies = context.compile()
    mode = context.mode_of(workload).mode
    for port in workload.ports:
        context.steering.add(port_pair(workload, port, mode), policies[port.port_id])

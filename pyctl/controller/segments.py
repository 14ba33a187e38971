"""Ports that know their bridge, and drivers that know the bridges' MACs.

In: the host's bridges as they were read. Out: the registry, the steering.
"""

from __future__ import annotations

from dataclasses import replace

from pyctl.controller.context import Context
from pyctl.intercept.survey.segments import Found, read_segments


def know_segments(context: Context) -> None:
    """Read the host's bridges before the first port is steered again, because the drivers take the first list
    of MACs and addresses as complete. Raises NetlinkError, NotFoundError.
    """
    ports = [port for workload in context.registry.all() for port in workload.ports]
    take(context, read_segments(context.instance, ports, lambda *_: None))


def take(context: Context, found: Found) -> bool:
    """Store the bridges that were found; return whether anything has changed."""
    changed = context.steering.segments != found.segments
    context.steering.segments = found.segments
    for workload in context.registry.all():
        ports = tuple(found.located(port) for port in workload.ports)
        if ports != workload.ports:
            context.registry.put(replace(workload, ports=ports))
            changed = True
    return changed

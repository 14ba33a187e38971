"""The workload in whose network namespace a process lives.

In: the registry, a process. Out: a workload. I/O: the namespace's cookie: its inode number may be a
stranger's, where the workload's own has died.
"""

from __future__ import annotations

from pyctl.model.workload import ProcessRef, Workload
from pyctl.platform.process import shares_netns
from pyctl.state.registry import Registry


def workload_in_netns(registry: Registry, process: ProcessRef) -> Workload | None:
    """Return the attached workload in the process's network namespace; None: there is none."""
    for workload in registry.all():
        known = workload.process
        if known.netns == process.netns and shares_netns(process, known):
            return workload
    return None

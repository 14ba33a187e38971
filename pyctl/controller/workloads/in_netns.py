"""The workload in whose network namespace a process lives.

In: the attached workloads, a process. Out: a workload. I/O: the namespace's cookie: its inode number may be a
stranger's, where the workload's own has died.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyctl.model.workload import ProcessRef, Workload
from pyctl.platform.process import shares_netns


def workload_in_netns(
    workloads: Iterable[Workload], process: ProcessRef
) -> Workload | None:
    """Return which of the workloads is in the process's network namespace; None: there is none."""
    for workload in workloads:
        known = workload.process
        if known.netns == process.netns and shares_netns(process, known):
            return workload
    return None

"""Whom an order means: a pid as it is, a container through its runtime.

In: a pid, a name, or a container as its runtime described it. Out: Target. I/O: /proc, the runtimes' APIs.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyctl.model.workload import ProcessRef
from pyctl.platform.process import process_ref, with_cookie
from pyctl.runtime.base import Container
from pyctl.runtime.resolve import resolve


@dataclass(frozen=True)
class Target:
    """The process, and its container if any, that an order means."""

    process: ProcessRef
    container: Container | None


def find_target(
    pid: int | None,
    container: str | None,
    host: str | None,
    found: Container | None = None,
) -> Target:
    """Return an order's target. NotFoundError, RefusedError, NotCapableError from the runtime and /proc."""
    if found is None and container is not None:
        found = resolve(container, host)
    process = process_ref(found.pid if found else pid or 0)
    return Target(with_cookie(process), found)

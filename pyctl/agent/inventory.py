"""Every container that the runtimes know, and why it is attached or not.

In: what the runtimes say, what is attached, remembered, and has failed. Out: a line for each container.
I/O: the runtimes', /proc.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyctl.controller.workloads.in_netns import workload_in_netns
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.survey.select import candidates, refuse_netns
from pyctl.model.instance import Instance
from pyctl.model.workload import Workload
from pyctl.platform.process import process_ref
from pyctl.runtime.base import Container, Known, Runtime, Unreachable
from pyctl.state.remembered import Memory


class Standing(StrEnum):
    """Whether segctl inspects a container."""

    ATTACHED = "attached"
    SHARED = "shared"
    """It lives in the network namespace of an attached one."""
    LOST = "lost"
    """It is to be attached, and is not."""
    NOT_ATTACHED = "not-attached"


@dataclass(frozen=True)
class Listed:
    """One container, with its standing and the workload that it belongs to."""

    known: Known
    standing: Standing
    workload: str | None
    """The name of the workload that it is, or is inspected with."""
    reason: str


@dataclass(frozen=True)
class Inventory:
    """What is attached or could be, of one instance. `failures`: by id, why an attach failed."""

    instance: Instance
    attached: Sequence[Workload]
    memory: Memory
    failures: Mapping[str, str]

    def of(self, runtimes: Iterable[Runtime]) -> tuple[list[Listed], list[str]]:
        """Return all containers by name, each once, and a line for each runtime that does not answer."""
        found: dict[str, Listed] = {}
        silent = []
        for runtime in runtimes:
            try:
                for known in runtime.known():
                    if known.container.id not in found:
                        found[known.container.id] = self._listed(known)
            except (Unreachable, SegctlError, OSError) as error:
                silent.append(f"{runtime.place}: {error}")
        return sorted(found.values(), key=lambda one: one.known.container.name), silent

    def _listed(self, known: Known) -> Listed:
        container = known.container
        remembered = self.memory.of(container)
        name = remembered.workload.name if remembered else None
        failed = self.failures.get(container.id)
        if container.pid:
            try:
                workload = self._attached(container)
            except NotFoundError:
                return Listed(known, Standing.NOT_ATTACHED, None, "it is ending")
            except SegctlError as error:
                return Listed(known, Standing.NOT_ATTACHED, None, str(error))
            if workload is not None:
                return _inspected(known, workload)
        if remembered is not None or failed:
            why = f"it does not run ({known.status}); it is attached when it starts"
            if container.pid:
                why = failed or "it is about to be attached"
            return Listed(known, Standing.LOST, name, why)
        return Listed(known, Standing.NOT_ATTACHED, None, self._why_not(known))

    def _attached(self, container: Container) -> Workload | None:
        return workload_in_netns(self.attached, process_ref(container.pid))

    def _why_not(self, known: Known) -> str:
        if not known.container.pid:
            return f"it does not run ({known.status})"
        try:
            process = process_ref(known.container.pid)
            refuse_netns(self.instance, process)
            interfaces, others = candidates(process)
        except (SegctlError, OSError) as error:
            return str(error)
        if not interfaces:
            return "; ".join(("it has no interface to inspect", *others))
        return "nobody asked for it"


def _inspected(known: Known, workload: Workload) -> Listed:
    container = known.container
    if workload.id == container.short_id or workload.process.pid == container.pid:
        return Listed(known, Standing.ATTACHED, workload.name, "")
    why = (
        f"it shares the network namespace of {workload.name}, and is inspected with it"
    )
    return Listed(known, Standing.SHARED, workload.name, why)

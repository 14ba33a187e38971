"""What becomes of a workload whose process has ended.

In: workloads, with nobody known to live in their namespaces. Out: each goes on with another process that
lives there (a container that shares the namespace, what a daemon left behind), keeping name, labels and
mode; or it is done with. I/O: one pass over /proc for all of them.

A namespace without processes that is bound in the file system lives on: a service that starts again enters it,
or a workload that has only left it. One that is held to rules, in protect or quarantine, stays attached for
whoever enters, until it is detached, or its mode changed to one that holds nobody; the others get their interface
back. A process that has left the namespace is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pyctl.controller.context import Context
from pyctl.errors import NotPermittedError
from pyctl.model.workload import Mode, ProcessRef, RuntimeKind, Workload
from pyctl.platform.inhabitants import Inhabitants, inhabitants
from pyctl.platform.netns import bound_at
from pyctl.platform.process import process_alive, shares_netns
from pyctl.telemetry.events import Event

_HOLDS = (Mode.PROTECT, Mode.QUARANTINE)
"""The modes that drop: who enters the namespace later is held to them, too."""


def search(workloads: Iterable[Workload]) -> Inhabitants:
    """Return who lives in the workloads' namespaces. Namespaces without a hit are searched twice: one pass
    can miss a chain of short-lived processes, each the child of the one before.
    """
    wanted = {workload.process.netns for workload in workloads}
    found = inhabitants(wanted)
    again = inhabitants(wanted - found.oldest.keys())
    return Inhabitants({**found.oldest, **again.oldest}, found.whole and again.whole)


def go_on(context: Context, workload: Workload, living: Inhabitants) -> bool:
    """Return whether the workload stays attached: with its process, with another one, or empty (`stays_empty`).
    The controller's loop calls it. NotPermittedError if that cannot be told.
    """
    now = _outcome(context, workload, living)
    if now is not None:
        hand_over(context, workload, now)
    return now is not None


def hand_over(context: Context, workload: Workload, now: Workload) -> None:
    """Put the workload as `outlook` says that it goes on."""
    if now == workload:
        return
    context.registry.put(now)
    told = (
        f"its process {workload.process.pid} has ended; it goes on with process {now.process.pid}, "
        "which lives in its network namespace"
    )
    context.happened(Event("lifecycle", told, workload=workload.name))


def _outcome(
    context: Context, workload: Workload, living: Inhabitants
) -> Workload | None:
    """Return the workload as it goes on; None if it is done with."""
    if process_alive(workload.process):
        return workload
    heir = living.oldest.get(workload.process.netns)
    if heir is not None and shares_netns(heir, workload.process):
        return inherited(workload, heir)
    if not living.whole:
        raise NotPermittedError(
            f"process {workload.process.pid} of {workload.name} has ended, and whether others live in its "
            "network namespace cannot be told: some processes may not be looked at",
            state="it stays attached",
            advice="run the agent as root with CAP_SYS_PTRACE",
        )
    return workload if stays_empty(context, workload) else None


def inherited(workload: Workload, heir: ProcessRef) -> Workload:
    """Return the workload with another process of its namespace in the place of its own."""
    # A container ends with its first process; the process that is left is no container.
    heir = replace(heir, cookie=workload.process.cookie)
    return replace(workload, process=heir, runtime=RuntimeKind.PROCESS)


def stays_empty(context: Context, workload: Workload) -> bool:
    """Return whether the workload stays attached without a process: its mode drops, and its namespace is bound."""
    holds = context.mode_of(workload).mode in _HOLDS
    return (
        holds and bound_at(workload.process.netns, workload.process.cookie) is not None
    )


def outlook(
    context: Context, workloads: Sequence[Workload]
) -> list[tuple[Workload, Workload | None]]:
    """Return each workload with what it goes on as, None: it is done with. Nothing is changed."""
    ended = [one for one in workloads if not process_alive(one.process)]
    living = search(ended)
    return [
        (one, _outcome(context, one, living) if one in ended else one)
        for one in workloads
    ]


def settle(context: Context, workloads: Sequence[Workload]) -> list[Workload]:
    """Return those of these workloads that are done with, after the others were given another process."""
    found = outlook(context, workloads)
    for before, now in found:
        if now is not None:
            hand_over(context, before, now)
    return [before for before, now in found if now is None]

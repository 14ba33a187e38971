"""Carry a plan out: each step noted in the journal before it begins; at a failure, all
of it taken back.

In: a Site, Steps, a Journal. Out: nothing, or a SegctlError that says what state is
left. I/O: through ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyctl.errors import SegctlError
from pyctl.intercept.journal import Journal
from pyctl.intercept.ops import ACTIONS, Site
from pyctl.intercept.plan import Op, Step

Fault = Callable[[str], None]
"""Called with "before NAME" and "after NAME" of each step, so that tests can fail or
die there.
"""


def run(
    tried: str,
    restored: str,
    steps: tuple[Step, ...],
    site: Site,
    journal: Journal,
    fault: Fault | None,
) -> None:
    """Do all steps, then remove the journal: that is the commit.

    `tried` and `restored` are for the error: what was attempted, and what state a
    complete roll-back leaves. Raises SegctlError after rolling back. What cannot be
    rolled back stays in the journal.
    """
    begun: list[Step] = []
    try:
        for step in steps:
            if fault:
                fault(f"before {step.name}")
            journal.begin(step.name)
            begun.append(step)
            _do(step.do, site)
            if fault:
                fault(f"after {step.name}")
    except BaseException as error:
        left = undo(begun, site)
        if not left:
            journal.remove()
        if not isinstance(error, Exception):
            raise
        at = begun[-1].name if begun else "the start"
        raise SegctlError(
            f"{tried} failed at {at}: {str(error).rstrip('.')}",
            state="; ".join(left) if left else restored,
            advice="the agent tries again to repair it when it starts" if left else "",
            errno=getattr(error, "errno", None),
        ) from error
    journal.remove()


def _do(operations: Iterable[Op], site: Site) -> None:
    for operation in operations:
        ACTIONS[operation](site)


def undo(begun: list[Step], site: Site) -> list[str]:
    """Take the steps back, newest first, each whatever becomes of the others; what went
    wrong.
    """
    failed = []
    for step in reversed(begun):
        for operation in step.undo:
            try:
                ACTIONS[operation](site)
            except Exception as error:  # noqa: BLE001  the other steps must be taken back too
                failed.append(f"undoing {step.name} ({operation}) failed: {error}")
    return failed


def finish(steps: tuple[Step, ...], site: Site) -> list[str]:
    """Do all steps of an interrupted plan again; what went wrong, where it stopped."""
    for step in steps:
        try:
            _do(step.do, site)
        except Exception as error:  # noqa: BLE001  it becomes the report's sentence
            return [f"{step.name} failed: {error}"]
    return []

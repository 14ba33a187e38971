"""Carry a plan out: each step noted in the journal before it begins; at a failure, all
of it taken back. Details that fail are told in Site.lost, and taken for no failure.

In: a Site, Steps, a Journal. Out: nothing, or a SegctlError that says what state is
left. I/O: through ops.
"""

from __future__ import annotations

from collections.abc import Callable

from pyctl.errors import SegctlError
from pyctl.intercept.steps.journal import Journal
from pyctl.intercept.steps.ops import ACTIONS, Site
from pyctl.intercept.steps.plan import CARRIED, DETAILS, Op, Step

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
            _do(step, site)
            if fault:
                fault(f"after {step.name}")
    except BaseException as error:
        site.lost.clear()
        left = undo(begun, site)
        if not left:
            journal.remove()
        if not isinstance(error, Exception):
            raise
        raise _failure(tried, restored, begun, site, left, error) from error
    journal.remove()


def _failure(
    tried: str,
    restored: str,
    begun: list[Step],
    site: Site,
    left: list[str],
    error: Exception,
) -> SegctlError:
    at = begun[-1] if begun else None
    advice = "the agent tries again to repair it when it starts" if left else ""
    if not left and at and CARRIED.intersection(at.do):
        advice = site.advice
    lost = [f"not all is as it was: {'; '.join(site.lost)}"] if site.lost else []
    return SegctlError(
        f"{tried} failed at {at.name if at else 'the start'}: {_words(error)}",
        state="; ".join([*left, *lost] or [restored]),
        advice=advice,
        errno=getattr(error, "errno", None),
    )


def _words(error: Exception) -> str:
    return str(error).rstrip(".") or repr(error)


def _do(step: Step, site: Site) -> None:
    spared = DETAILS | CARRIED if site.force else DETAILS
    for operation in step.do:
        try:
            ACTIONS[operation](site)
        except Exception as error:
            if operation not in spared:
                raise
            site.lost.append(f"could not {step.what}: {_words(error)}")


def undo(begun: list[Step], site: Site) -> list[str]:
    """Undo the steps, newest first, and return what is left to do.

    A failure does not stop the others. What the interface carried and lost is in Site.lost.
    """
    return _all(
        site,
        [
            (f"undoing {step.name} ({operation})", operation)
            for step in reversed(begun)
            for operation in step.undo
        ],
    )


def finish(steps: tuple[Step, ...], site: Site) -> list[str]:
    """Run all steps of an interrupted plan again; a failure stops no other. Returns as `undo` does."""
    return _all(site, [(step.name, op) for step in steps for op in step.do])


def _all(site: Site, work: list[tuple[str, Op]]) -> list[str]:
    left: list[str] = []
    for what, operation in work:
        try:
            ACTIONS[operation](site)
        except Exception as error:  # noqa: BLE001  the others must be done too
            # The interface is in its place, or another operation says that it is not. What the kernel
            # refuses it there it would refuse for ever, and nobody could attach or detach it any more.
            told = site.lost if operation in CARRIED | DETAILS else left
            told.append(f"{what} failed: {_words(error)}")
    return left

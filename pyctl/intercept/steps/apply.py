"""Carry a plan out: each step noted in the journal before it begins; at a failure, all
of it taken back. Details that fail are told in Site.lost, and taken for no failure.

In: a Site, Steps, a Journal. Out: nothing, or a SegctlError that says what state is
left. I/O: through ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from pyctl.errors import SegctlError
from pyctl.intercept.steps.journal import Journal
from pyctl.intercept.steps.ops import ACTIONS, Site
from pyctl.intercept.steps.plan import CARRIED, DETAILS, Op, Step

Fault = Callable[[str], None]
"""Called with "before NAME" and "after NAME" of each step, so that tests can fail or
die there.
"""


class Run:
    """A plan under way. `with` takes back what had begun, unless it was committed.

    `tried` and `restored` are for the error: what was attempted, and what state a complete roll-back leaves.
    On an exception, leaving the block raises SegctlError after rolling back; what cannot be rolled back stays
    in the journal.
    """

    def __init__(
        self,
        tried: str,
        restored: str,
        steps: tuple[Step, ...],
        site: Site,
        journal: Journal,
        fault: Fault | None,
    ) -> None:
        self._tried = tried
        self._restored = restored
        self._site = site
        self._journal = journal
        self._fault = fault or (lambda _: None)
        self._begun: list[Step] = []
        self._going = self._go(steps)
        self._committed = False

    def _go(self, steps: tuple[Step, ...]) -> Iterator[Step]:
        for step in steps:
            self._fault(f"before {step.name}")
            self._journal.begin(step.name)
            self._begun.append(step)
            _do(step, self._site)
            yield step
            self._fault(f"after {step.name}")

    def until(self, operation: Op) -> None:
        """Do the steps up to the one with this operation."""
        for step in self._going:
            if operation in step.do:
                return

    def commit(self, give_way: Callable[[], object] = lambda: None) -> None:
        """Do all steps that are left, then remove the journal. `give_way` is called between them, and between the
        writes of one that puts much back.
        """
        self._site.workload.between_writes = give_way
        for _ in self._going:
            give_way()
        self._committed = True
        self._journal.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._committed:
            return
        self._site.lost.clear()
        left = undo(self._begun, self._site)
        if not left:
            self._journal.remove()
        if isinstance(error, Exception):
            raise self._failure(left, error) from error

    def _failure(self, left: list[str], error: Exception) -> SegctlError:
        at, site = self._begun[-1] if self._begun else None, self._site
        advice = "the agent tries again to repair it when it starts" if left else ""
        if not left and at and CARRIED.intersection(at.do):
            advice = site.advice
        lost = [f"not all is as it was: {'; '.join(site.lost)}"] if site.lost else []
        return SegctlError(
            f"{self._tried} failed at {at.name if at else 'the start'}: {_words(error)}",
            state="; ".join([*left, *lost] or [self._restored]),
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

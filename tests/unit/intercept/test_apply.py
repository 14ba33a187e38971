"""Running a plan: in order, and back again from wherever it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.errors import SegctlError
from pyctl.intercept import apply
from pyctl.intercept.plan import Op, Step

STEPS = (
    Step("one", "", (Op.PARK,), (Op.UNPARK,)),
    Step("two", "", (Op.MOVE_OUT,), (Op.MOVE_IN,)),
    Step("three", "", (Op.CREATE,), (Op.REMOVE,)),
)
UNDONE = [Op.UNPARK, Op.MOVE_IN, Op.REMOVE]


class Book:
    """A journal that only remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.removed = False

    def begin(self, step: str) -> None:
        self.begun.append(step)

    def remove(self) -> None:
        self.removed = True


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Op]:
    """Every operation that ran; those named in `calls.fails` raise."""
    made: list[Op] = []
    monkeypatch.setattr(
        apply, "ACTIONS", {op: lambda site, op=op: site.act(op) for op in Op}
    )
    return made


def site(calls: list[Op], fails: frozenset[Op] = frozenset()) -> Any:
    def act(operation: Op) -> None:
        calls.append(operation)
        if operation in fails:
            raise OSError(5, f"{operation} broke")

    return SimpleNamespace(act=act)


def test_all_steps_run_in_order_and_the_journal_goes(calls: list[Op]) -> None:
    book = Book()
    apply.run("trying", "as before", STEPS, site(calls), book, None)
    assert calls == [Op.PARK, Op.MOVE_OUT, Op.CREATE]
    assert book.begun == ["one", "two", "three"]
    assert book.removed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2), st.sampled_from(["before", "after"]))
def test_a_fault_anywhere_undoes_what_had_begun_newest_first(
    calls: list[Op], number: int, when: str
) -> None:
    calls.clear()
    book = Book()

    def fault(point: str) -> None:
        if point == f"{when} {STEPS[number].name}":
            raise RuntimeError("injected")

    with pytest.raises(SegctlError, match="injected") as caught:
        apply.run("trying", "as before", STEPS, site(calls), book, fault)
    begun = number + (when == "after")
    assert calls[begun:] == UNDONE[:begun][::-1]
    assert caught.value.state == "as before"
    assert book.removed


def test_the_step_that_fails_is_undone_too(calls: list[Op]) -> None:
    book = Book()
    broken = site(calls, frozenset({Op.MOVE_OUT}))
    with pytest.raises(SegctlError, match="at two") as caught:
        apply.run("trying", "as before", STEPS, broken, book, None)
    assert calls == [Op.PARK, Op.MOVE_OUT, Op.MOVE_IN, Op.UNPARK]
    assert caught.value.errno == 5


def test_an_undo_that_fails_stops_no_other_and_keeps_the_journal(
    calls: list[Op],
) -> None:
    book = Book()
    broken = site(calls, frozenset({Op.CREATE, Op.MOVE_IN}))
    with pytest.raises(SegctlError) as caught:
        apply.run("trying", "as before", STEPS, broken, book, None)
    assert calls[-1] is Op.UNPARK
    assert "undoing two (move-in) failed" in caught.value.state
    assert not book.removed


def test_an_interrupt_rolls_back_and_goes_on_up(calls: list[Op]) -> None:
    book = Book()

    def fault(point: str) -> None:
        if point == "after two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply.run("trying", "as before", STEPS, site(calls), book, fault)
    assert calls[-2:] == [Op.MOVE_IN, Op.UNPARK]


def test_finishing_does_every_step_and_stops_at_a_failure(calls: list[Op]) -> None:
    assert apply.finish(STEPS, site(calls)) == []
    calls.clear()
    failed = apply.finish(STEPS, site(calls, frozenset({Op.MOVE_OUT})))
    assert failed == ["two failed: [Errno 5] move-out broke"]
    assert calls == [Op.PARK, Op.MOVE_OUT]

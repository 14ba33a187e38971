"""Running a plan: in order, and back again from wherever it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctl.errors import SegctlError
from pyctl.intercept.steps import apply
from pyctl.intercept.steps.plan import DETAILS, Op, Step

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


def site(
    calls: list[Op], fails: frozenset[Op] = frozenset(), *, force: bool = False
) -> Any:
    def act(operation: Op) -> None:
        calls.append(operation)
        if operation in fails:
            raise OSError(5, f"{operation} broke")

    return SimpleNamespace(
        act=act, lost=[], force=force, advice="use force", workload=SimpleNamespace()
    )


def run(*plan: Any) -> None:
    """As a detach does: all in one go."""
    with apply.Run(*plan) as under_way:
        under_way.commit()


def test_it_gives_way_after_each_step_that_is_committed_and_to_nobody_before(
    calls: list[Op],
) -> None:
    gave: list[Op] = []
    plan = ("trying", "as before", STEPS, there := site(calls), Book(), None)
    with apply.Run(*plan) as under_way:
        under_way.until(Op.MOVE_OUT)
        assert gave == []
        under_way.commit(give := lambda: gave.append(calls[-1]))
    assert gave == [Op.CREATE]
    assert there.workload.between_writes is give


def test_all_steps_run_in_order_and_the_journal_goes(calls: list[Op]) -> None:
    book = Book()
    run("trying", "as before", STEPS, site(calls), book, None)
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
        run("trying", "as before", STEPS, site(calls), book, fault)
    begun = number + (when == "after")
    assert calls[begun:] == UNDONE[:begun][::-1]
    assert caught.value.state == "as before"
    assert book.removed


def test_the_step_that_fails_is_undone_too(calls: list[Op]) -> None:
    book = Book()
    broken = site(calls, frozenset({Op.MOVE_OUT}))
    with pytest.raises(SegctlError, match="at two") as caught:
        run("trying", "as before", STEPS, broken, book, None)
    assert calls == [Op.PARK, Op.MOVE_OUT, Op.MOVE_IN, Op.UNPARK]
    assert caught.value.errno == 5


def test_an_undo_that_fails_stops_no_other_and_keeps_the_journal(
    calls: list[Op],
) -> None:
    book = Book()
    broken = site(calls, frozenset({Op.CREATE, Op.MOVE_IN}))
    with pytest.raises(SegctlError) as caught:
        run("trying", "as before", STEPS, broken, book, None)
    assert calls[-1] is Op.UNPARK
    assert "undoing two (move-in) failed" in caught.value.state
    assert not book.removed


def test_an_interrupt_rolls_back_and_goes_on_up(calls: list[Op]) -> None:
    book = Book()

    def fault(point: str) -> None:
        if point == "after two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("trying", "as before", STEPS, site(calls), book, fault)
    assert calls[-2:] == [Op.MOVE_IN, Op.UNPARK]


def test_finishing_does_every_step_whatever_becomes_of_the_others(
    calls: list[Op],
) -> None:
    assert apply.finish(STEPS, site(calls)) == []
    calls.clear()
    broken = site(calls, frozenset({Op.MOVE_OUT}))
    left = apply.finish(STEPS, broken)
    assert left == ["two failed: [Errno 5] move-out broke"]
    assert broken.lost == []
    assert calls == [Op.PARK, Op.MOVE_OUT, Op.CREATE]


@pytest.mark.parametrize("operation", sorted(DETAILS))
def test_a_detail_that_fails_is_told_and_ends_nothing(
    calls: list[Op], operation: Op
) -> None:
    """What a workload gave itself must not be a way to stay unprotected."""
    steps = (
        Step("one", "put it back", (operation, Op.LINK_UP)),
        Step("two", "", (Op.ROUTES,)),
    )
    book, broken = Book(), site(calls, frozenset({operation}))
    run("trying", "as before", steps, broken, book, None)
    assert calls == [operation, Op.LINK_UP, Op.ROUTES]
    assert broken.lost == [f"could not put it back: [Errno 5] {operation} broke"]
    assert book.removed


CUTS = (Op.LINK_UP, Op.QUEUES, Op.ADDRESSES, Op.WAYS_OUT, Op.ROUTES, Op.VERIFY)


@pytest.mark.parametrize("operation", CUTS)
def test_what_cuts_a_workload_off_is_taken_back_where_somebody_is_asked(
    calls: list[Op], operation: Op
) -> None:
    steps = (*STEPS, Step("four", "put it back", (operation,)))
    broken = site(calls, frozenset({operation}))
    with pytest.raises(SegctlError, match="at four") as caught:
        run("trying", "as before", steps, broken, Book(), None)
    assert calls[-3:] == UNDONE[::-1]
    assert (caught.value.state, caught.value.advice) == ("as before", "use force")


@pytest.mark.parametrize("operation", CUTS)
def test_where_nobody_is_asked_the_workload_stays_inspected(
    calls: list[Op], operation: Op
) -> None:
    steps = (*STEPS, Step("four", "put it back", (operation,)))
    broken = site(calls, frozenset({operation}), force=True)
    run("trying", "as before", steps, broken, Book(), None)
    assert broken.lost == [f"could not put it back: [Errno 5] {operation} broke"]


@pytest.mark.parametrize("operation", [Op.MOVE_OUT, Op.CREATE, Op.PORTS_READY])
def test_without_its_ports_nothing_is_inspected_by_force_either(
    calls: list[Op], operation: Op
) -> None:
    steps = (*STEPS, Step("four", "", (operation,)))
    broken = site(calls, frozenset({operation}), force=True)
    with pytest.raises(SegctlError):
        run("trying", "as before", steps, broken, Book(), None)


def test_an_error_without_words_is_told_by_its_kind(calls: list[Op]) -> None:
    def act(_operation: Op) -> None:
        raise ZeroDivisionError

    silent = site([])
    silent.act = act
    with pytest.raises(SegctlError, match="ZeroDivisionError"):
        run("trying", "as before", STEPS[1:2], silent, Book(), None)


def test_what_an_interface_in_its_place_is_refused_leaves_nothing_to_be_done(
    calls: list[Op],
) -> None:
    """Else its journal would stand in the way of every attach and detach. And what is not as it was is not said
    to be.
    """
    book = Book()
    steps = (
        Step("mark", "", (), (Op.ROUTES, Op.SETTLE)),
        Step("two", "", (Op.MOVE_OUT,), (Op.MOVE_IN,)),
    )
    broken = site(calls, frozenset({Op.MOVE_OUT, Op.ROUTES}))
    with pytest.raises(SegctlError) as failed:
        run("trying", "as before", steps, broken, book, None)
    assert book.removed
    assert failed.value.state.startswith(
        "not all is as it was: undoing mark (routes) failed"
    )
    assert "as before" not in failed.value.state
    assert calls == [Op.MOVE_OUT, Op.MOVE_IN, Op.ROUTES, Op.SETTLE]


def test_between_two_steps_somebody_else_may_do_a_part(calls: list[Op]) -> None:
    book, points = Book(), list[str]()
    with apply.Run("trying", "", STEPS, site(calls), book, points.append) as under_way:
        under_way.until(Op.MOVE_OUT)
        assert calls == [Op.PARK, Op.MOVE_OUT]
        assert (book.begun, points[-1]) == (["one", "two"], "before two")
        under_way.commit()
    assert calls == [Op.PARK, Op.MOVE_OUT, Op.CREATE]
    assert points[3:] == ["after two", "before three", "after three"]
    assert book.removed


@pytest.mark.parametrize("error", [RuntimeError("no room"), SystemExit(143)])
def test_what_that_part_fails_with_takes_all_back(
    calls: list[Op], error: BaseException
) -> None:
    """An error says where; what ends the process goes on up as it is."""
    book = Book()

    def fails() -> None:
        with apply.Run("trying", "as before", STEPS, site(calls), book, None) as run:
            run.until(Op.MOVE_OUT)
            raise error

    with pytest.raises((SegctlError, SystemExit)) as caught:
        fails()
    assert calls[2:] == [Op.MOVE_IN, Op.UNPARK]
    assert book.removed
    if isinstance(error, Exception):
        assert "trying failed at two: no room" in str(caught.value)
        assert caught.value.state == "as before"
    else:
        assert caught.value is error


def test_what_nobody_commits_is_taken_back(calls: list[Op]) -> None:
    book = Book()
    with apply.Run("trying", "", STEPS, site(calls), book, None) as under_way:
        under_way.until(Op.PARK)
    assert calls == [Op.PARK, Op.UNPARK]
    assert book.removed

"""Who asks for a turn gets one, however busy another is."""

from __future__ import annotations

import threading

import pytest

from pyctl.controller.turns import Turns
from pyctl.errors import UnreachableError
from tests.lab.pace import wait_for


def waiting(turns: Turns, number: int) -> None:
    wait_for(lambda: len(turns._waiting) == number, 5)


def test_one_at_a_time_in_the_order_of_asking():
    turns, done = Turns(), []

    def ask(name: int) -> None:
        with turns:
            done.append(name)

    with turns:
        threads = []
        for name in range(5):
            threads.append(threading.Thread(target=ask, args=(name,)))
            threads[-1].start()
            waiting(turns, name + 1)
        assert done == []
    for thread in threads:
        thread.join(5)
    assert done == [0, 1, 2, 3, 4]


def test_long_work_lets_others_in_between():
    """With a plain lock, the one who gives it up has it again before anybody else awakes."""
    turns, done = Turns(), []

    def ask() -> None:
        with turns:
            done.append("other")

    with turns:
        thread = threading.Thread(target=ask)
        thread.start()
        waiting(turns, 1)
        turns.give_way()
        done.append("mine")
    thread.join(5)
    assert done == ["other", "mine"]


def test_who_has_a_turn_may_ask_again_and_gives_no_way_within():
    turns, done = Turns(), []

    def ask() -> None:
        with turns:
            done.append("other")

    with turns:
        thread = threading.Thread(target=ask)
        thread.start()
        waiting(turns, 1)
        with turns:
            turns.give_way()
            done.append("mine")
    thread.join(5)
    assert done == ["mine", "other"]


def test_a_turn_is_free_after_a_failure():
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    thread = threading.Thread(target=turns.__enter__)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_nobody_has_a_turn_after_the_last_one():
    """A request that waited while the agent ended changes nothing any more."""
    turns, refused = Turns(), []

    def ask() -> None:
        try:
            with turns:
                pass
        except UnreachableError as error:
            refused.append(str(error))

    with turns:
        late = threading.Thread(target=ask)
        late.start()
        waiting(turns, 1)
        turns.close()
        with turns:
            pass  # The holder's own goes on.
    late.join(5)
    ask()
    assert refused == ["the agent is ending. Nothing was changed."] * 2

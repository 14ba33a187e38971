"""What goes wrong in a round keeps neither the others nor the next round."""

from __future__ import annotations

import threading

from pyctl.errors import SegctlError
from pyctl.observe.rounds import Rounds
from pyctl.telemetry.events import Happening


def test_a_failure_is_told_and_all_else_goes_on():
    told: list[Happening] = []
    seen = threading.Semaphore(0)

    def refuse() -> None:
        raise SegctlError("no such link")

    def break_down() -> None:
        raise ZeroDivisionError

    def pause() -> None:
        seen.release()
        rounds.pause(0.02)

    rounds = Rounds("test", told.append, refuse, break_down, pause)
    rounds.start()
    for _ in range(2):
        assert seen.acquire(timeout=5)
    rounds.end()
    assert {one.message.rstrip(".") for one in told} == {"no such link"}


def test_the_end_is_not_waited_for_longer_than_a_call_takes():
    rounds = Rounds("test", lambda _: None, lambda: rounds.pause(60))
    rounds.start()
    ender = threading.Thread(target=rounds.end)
    ender.start()
    ender.join(5)
    assert not ender.is_alive()
    assert rounds.ending


def test_who_never_began_may_end():
    Rounds("test", lambda _: None).end()

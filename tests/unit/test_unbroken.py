"""What a signal breaks off has ended when it is raised, and is undone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from pyctl.unbroken import unbroken


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Name: interrupt. Interrupts the main thread, and returns when it has been."""
    seen = threading.Event()

    def on_signal(*_: object) -> None:
        seen.set()
        raise KeyboardInterrupt

    def now() -> None:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGUSR2)
        assert seen.wait(10)

    before = signal.signal(signal.SIGUSR2, on_signal)
    yield now
    signal.signal(signal.SIGUSR2, before)


def test_its_result_or_its_error_is_the_callers():
    undone: list[int] = []
    assert unbroken(lambda: 5, undone.append) == 5
    with pytest.raises(ZeroDivisionError):
        unbroken(lambda: 1 // 0, undone.append)
    assert undone == []


def test_what_is_broken_off_is_done_and_undone(interrupt):
    undone: list[int] = []

    def what() -> int:
        interrupt()
        return 5

    with pytest.raises(KeyboardInterrupt):
        unbroken(what, undone.append)
    assert undone == [5]


def test_what_fails_then_has_nothing_to_undo(interrupt):
    undone: list[int] = []

    def what() -> int:
        interrupt()
        raise OSError("no room")

    with pytest.raises(KeyboardInterrupt):
        unbroken(what, undone.append)
    assert undone == []

"""Loops for tests: one that a test moves on by a clock that stands still, and what keeps one busy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pyctl.controller.loop import Kind, Loop, each
from tests.lab.pace import wait_for


class Stepped(Loop):
    """A loop whose thread is the test's own, by a clock that stands still."""

    def __init__(self, clock: SimpleNamespace) -> None:
        super().__init__("test", lambda: self.seen.append("after"))
        self.clock = clock
        self.seen: list[str] = []
        """What was done, in order."""
        self.told: list[str] = []
        self.refuses: dict[str, Exception] = {}
        self.meanwhile: Callable[[str], object] = lambda _: None
        """Called while a key is done."""
        self._thread = threading.current_thread()

    def work(self, name: str = "look", **how: Any) -> None:
        self.kind(name, Kind(each(self._handle), self._failed, **how))

    def _handle(self, key: str) -> None:
        self.seen.append(key)
        self.meanwhile(key)
        if key in self.refuses:
            raise self.refuses[key]

    def _failed(self, key: str, error: Exception) -> None:
        self.told.append(f"{key}: {error}")

    def pass_time(self, seconds: float = 0.0) -> list[str]:
        """What is done by then."""
        before = len(self.seen)
        self.clock.now += seconds
        self._do_work()
        return [one for one in self.seen[before:] if one != "after"]


class Held:
    """Keeps a loop busy until it is let go."""

    def __init__(self, loop: Loop) -> None:
        self._go = threading.Event()
        begun = threading.Event()

        def hold() -> None:
            begun.set()
            self._go.wait(30)

        self.asker = threading.Thread(target=loop.do, args=(hold,), daemon=True)
        self.asker.start()
        assert begun.wait(10)

    def let_go(self) -> None:
        self._go.set()
        self.asker.join(10)


def ask_behind(loop: Loop, call: Callable[[], object]) -> threading.Thread:
    """Somebody who waits behind whatever keeps the loop busy."""
    queued = len(loop._requests)
    thread = threading.Thread(target=loop.do, args=(call,), daemon=True)
    thread.start()
    wait_for(lambda: len(loop._requests) == queued + 1)
    return thread


class Interrupted:
    """An event whose waiting a signal breaks off, once; `first` is done then."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first: Callable[[], object] | None = first
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            first()
            raise KeyboardInterrupt
        self._event.wait(10)

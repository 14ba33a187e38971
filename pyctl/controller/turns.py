"""The agent's lock: whoever has waited longest is next.

In: threads. Out: one of them at a time. I/O: none.
threading's own lock goes to whom the scheduler likes, which is as a rule the thread that has just given
it up: a long piece of work that lets the others in between would let in nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Self

from pyctl.errors import UnreachableError


class Turns:
    """Re-entrant; a context manager."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._holder: int | None = None
        self._depth = 0
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        self._closed = False

    def __enter__(self) -> Self:
        """UnreachableError where it is closed."""
        me = threading.get_ident()
        with self._mutex:
            if self._closed and self._holder != me:
                raise _ending()
            if self._holder in (None, me):
                self._holder = me
                self._depth += 1
                return self
            mine = self._queue(me)
        self._wait(mine)
        if self._closed:
            self.__exit__()
            raise _ending()
        return self

    def close(self) -> None:
        """After the holder nobody has a turn any more, those who wait by now included."""
        self._closed = True

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._depth -= 1
            if not self._depth:
                self._pass_on()

    def give_way(self) -> None:
        """Let all in who wait by now, and go on after them. Only where nothing is half done: not from
        within a turn of one's own, where it does nothing.
        """
        with self._mutex:
            if self._depth > 1 or not self._waiting:
                return
            mine = self._queue(threading.get_ident())
            self._pass_on()
        self._wait(mine)

    def _queue(self, me: int) -> tuple[int, threading.Lock]:
        gate = threading.Lock()
        gate.acquire()
        self._waiting.append((me, gate))
        return self._waiting[-1]

    def _pass_on(self) -> None:
        self._holder, self._depth = None, 0
        if self._waiting:
            self._holder, gate = self._waiting.popleft()
            self._depth = 1
            gate.release()

    def _wait(self, mine: tuple[int, threading.Lock]) -> None:
        try:
            mine[1].acquire()
        except BaseException:
            # A signal ends the main thread while it waits: its turn must not stay with it.
            with self._mutex:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                else:
                    self._pass_on()
            raise


def _ending() -> UnreachableError:
    return UnreachableError("the agent is ending", state="nothing was changed")

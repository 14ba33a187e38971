"""Waiting on thousands of file descriptors: a thread that calls when one has something to say.

In: descriptors, calls. Out: a call for each that became readable, then none until it is armed again. I/O:
epoll(7), so that a round costs what has happened, not what is watched. A call only hands on what is to be
looked at (see controller.loop); who looks drains the descriptor, and arms it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable

_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class Poller:
    """`start` and `close` once; the rest from any thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], object]] = {}
        self._end_read, self._end_write = os.pipe2(os.O_CLOEXEC)
        self._epoll.register(self._end_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def close(self) -> None:
        """Return when no call can come any more; the descriptors stay their owners'."""
        os.close(self._end_write)
        if self._thread.is_alive():
            self._thread.join()
        self._epoll.close()
        os.close(self._end_read)

    def open(self, fd: int, call: Callable[[], object]) -> None:
        """Call when the descriptor is readable, once. OSError where it cannot be watched."""
        self._calls[fd] = call
        try:
            self._epoll.register(fd, _ONCE)
        except OSError:
            del self._calls[fd]
            raise

    def arm(self, fd: int) -> None:
        """Call again when it is readable. One that was shut stays so."""
        if fd in self._calls:
            with contextlib.suppress(FileNotFoundError):
                self._epoll.modify(fd, _ONCE)

    def shut(self, fd: int) -> None:
        """Call no more; before the descriptor is closed. Idempotent."""
        if self._calls.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _run(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._end_read:
                    return
                # One that was shut meanwhile; and its number may be another's, who looks in vain then.
                call = self._calls.get(fd)
                if call is not None:
                    call()

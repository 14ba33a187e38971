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
    """A thread that waits on descriptors. `start` and `close` once, the rest from any thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], object]] = {}
        self._end_read, self._end_write = os.pipe2(os.O_CLOEXEC)
        self._epoll.register(self._end_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def start(self) -> None:
        """Start the thread that waits on the descriptors."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; on return no call can come any more. The descriptors stay open."""
        os.close(self._end_write)
        if self._thread.is_alive():
            self._thread.join()
        self._epoll.close()
        os.close(self._end_read)

    def open(self, fd: int, call: Callable[[], object]) -> None:
        """Call `call` once when the descriptor is readable. OSError if it cannot be watched."""
        self._calls[fd] = call
        try:
            self._epoll.register(fd, _ONCE)
        except OSError:
            del self._calls[fd]
            raise

    def arm(self, fd: int) -> None:
        """Watch the descriptor again after its call. Does nothing for one that was shut."""
        if fd in self._calls:
            with contextlib.suppress(FileNotFoundError):
                self._epoll.modify(fd, _ONCE)

    def shut(self, fd: int) -> None:
        """Stop watching the descriptor; call this before closing it. Idempotent."""
        if self._calls.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _run(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._end_read:
                    return
                # The fd may have been shut meanwhile, or be another's by now, which then looks in vain.
                call = self._calls.get(fd)
                if call is not None:
                    call()

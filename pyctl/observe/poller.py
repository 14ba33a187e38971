"""Waiting on thousands of file descriptors, each with what is to be done when it has something to say.

In: descriptors, calls. Out: the calls, one after the other. I/O: epoll(7), so that a round costs what
has happened, not what is watched. For one thread; a call may open, shut and rest any descriptor.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger()
Call = Callable[[], object]


class Eyes:
    """Open from the start; `close` gives epoll's own descriptor back, and no other."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Call] = {}
        self._resting: dict[int, float] = {}
        """Until when. Not registered meanwhile: an error would be reported whatever is asked for."""

    def close(self) -> None:
        """Idempotent."""
        self._epoll.close()

    def open(self, fd: int, call: Call) -> None:
        """Call it whenever the descriptor is readable."""
        self._epoll.register(fd, select.EPOLLIN)
        self._calls[fd] = call

    def shut(self, fd: int) -> None:
        """No more; before the descriptor is closed."""
        del self._calls[fd]
        if self._resting.pop(fd, None) is None:
            self._epoll.unregister(fd)

    def rest(self, fd: int, seconds: float) -> None:
        """Not for so long: who changes something all the time must not keep us from the others."""
        if fd in self._calls and fd not in self._resting:
            self._epoll.unregister(fd)
            self._resting[fd] = time.monotonic() + seconds

    def look(self, seconds: float) -> None:
        """Wait for at most so long, and make the calls, each whatever becomes of the others; the first
        failure is raised, the others are logged.
        """
        now = time.monotonic()
        for fd in [fd for fd, until in self._resting.items() if until <= now]:
            del self._resting[fd]
            self._epoll.register(fd, select.EPOLLIN)
        until = min(self._resting.values(), default=now + seconds)
        events = self._epoll.poll(max(0.0, min(seconds, until - now)))
        failed = []
        for fd, call in [(fd, self._calls[fd]) for fd, _ in events]:
            # Another call of this round may have shut it, and its number may be another's by now.
            if self._calls.get(fd) is call:
                try:
                    call()
                except Exception as error:  # noqa: BLE001  see above
                    failed.append(error)
        for other in failed[1:]:
            _log.error("watching failed", exc_info=other)
        if failed:
            raise failed[0]

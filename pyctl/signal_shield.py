"""Runs a function that a signal must not interrupt in the middle.

In: a function. Out: its result. I/O: a thread. A signal handler that raises (^C, an agent told to end while
it starts) does so in the main thread, between any two of its steps: a child process just made would have no
owner.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
_END_S = 5.0


@dataclass
class _Work(Generic[T]):
    """The thread's work and its undo; whichever of thread and caller ends second runs the undo."""

    what: Callable[[], T]
    undo: Callable[[T], object] | None
    done: threading.Event = field(default_factory=threading.Event)
    results: list[T] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _one_has_ended: bool = False

    def run(self) -> None:
        try:
            self.results.append(self.what())
        except BaseException as error:  # noqa: BLE001  raised by the caller's thread
            self.failures.append(error)
        self.end(broken=False)
        self.done.set()

    def end(self, *, broken: bool) -> None:
        """Note that the thread, or the caller (`broken` by a signal), has ended; undo if it is the second."""
        with self._lock:
            second, self._one_has_ended = self._one_has_ended, True
        if second and self.results and self.undo:
            self.undo(self.results[0])
        elif broken:
            self.done.wait(_END_S)


def signal_shield(
    what: Callable[[], T], undo: Callable[[T], object] | None = None
) -> T:
    """Run `what` in a thread and return its result or raise its error. If a signal interrupts the wait, raise
    that and undo the work: here if the thread has ended, else in the thread, waiting up to 5 s for it. Raise
    OSError EAGAIN if no thread starts.
    """
    work = _Work(what, undo)
    thread = threading.Thread(target=work.run)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error
    except BaseException:
        work.end(broken=True)
        raise
    try:
        work.done.wait()
    except BaseException:
        work.end(broken=True)
        raise
    if work.failures:
        raise work.failures[0]
    return work.results[0]

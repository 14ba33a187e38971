"""Something that a signal must not break in the middle.

In: a function. Out: its result. I/O: a thread. A signal's handler that raises (^C, an agent told to end while it
starts) does so in the main thread, between any two steps of it: a child just made would be nobody's.
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
    """What the thread does, and who undoes it: whoever comes second, its end or the caller's."""

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
        """The work's, or the caller's because a signal broke its waiting off."""
        with self._lock:
            second, self._one_has_ended = self._one_has_ended, True
        if second and self.results and self.undo:
            self.undo(self.results[0])
        elif broken:
            self.done.wait(_END_S)


def signal_shield(
    what: Callable[[], T], undo: Callable[[T], object] | None = None
) -> T:
    """Run it in a thread, which ends by itself soon, and give its result or raise what it raised. What breaks
    the waiting off is raised, and the work undone: here if it has ended, else by the thread when it ends, for
    which this waits 5 s. OSError EAGAIN where there is no thread to be had.
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

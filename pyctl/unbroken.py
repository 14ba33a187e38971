"""Something that a signal must not break in the middle.

In: a function. Out: its result. I/O: a thread. A signal's handler that raises (^C, an agent told to end while it
starts) does so in the main thread, between any two steps of it: a child just made would be nobody's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_END_S = 5.0


def unbroken(what: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Run it in a thread, which ends by itself soon, and give its result or raise what it raised. What breaks
    the waiting off is raised when it has ended, and is undone.
    """
    done = threading.Event()
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(what())
        except BaseException as error:  # noqa: BLE001  raised below
            failures.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=run).start()
        done.wait()
    except BaseException:
        done.wait(_END_S)
        if results and undo:
            undo(results[0])
        raise
    if failures:
        raise failures[0]
    return results[0]

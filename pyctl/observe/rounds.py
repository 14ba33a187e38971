"""A thread that does the same few things over and over, until it is told to end.

In: calls, one of which waits. Out: what fails among them is told, and does not keep the others, or the
next round, from being done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from pyctl.errors import SegctlError
from pyctl.telemetry.events import Happening

_log = structlog.get_logger()


class Rounds:
    """`happened` is told of failures that have a name; others go to the log."""

    def __init__(
        self,
        name: str,
        happened: Callable[[Happening], None],
        *calls: Callable[[], object],
    ) -> None:
        self._happened = happened
        self._calls = calls
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def ending(self) -> bool:
        """It has been told to end."""
        return self._ending.is_set()

    def pause(self, seconds: float) -> None:
        """Wait; not when told to end."""
        self._ending.wait(seconds)

    def start(self) -> None:
        """Begin the first round."""
        self._thread.start()

    def end(self, wake: Callable[[], object] = lambda: None) -> None:
        """Return when the thread has ended; `wake` ends the waiting in one of its calls. Idempotent."""
        self._ending.set()
        wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self.ending:
            for call in self._calls:
                try:
                    call()
                except SegctlError as error:
                    self._happened(Happening("lifecycle", str(error)))
                except Exception:  # noqa: BLE001  the thread lives on
                    _log.exception("watching failed")

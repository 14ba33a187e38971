"""Containers of one runtime as they start: a thread that waits on its stream of events.

In: a Runtime. Out: calls with ids of what runs. I/O: the runtime's.
The stream is opened before what runs already is listed, so that no start falls between; where a runtime goes
away, both are done again once it is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from pyctl.runtime.base import Runtime, Starts, Unreachable

_log = structlog.get_logger()
RETRY_S = 2.0
Consider = Callable[[Runtime, str], None]
"""Called with the runtime and the id of a running container. Raises Unreachable."""


class RuntimeWatch:
    """The watch of one runtime; start its `thread`, and end the waiting with `cancel`."""

    def __init__(
        self,
        runtime: Runtime,
        consider: Consider,
        listed: Callable[[], None],
        ending: threading.Event,
    ) -> None:
        self.runtime = runtime
        self.state = "not asked yet"
        self.thread = threading.Thread(
            target=self._run, name=f"auto-attach-{runtime.runtime}", daemon=True
        )
        self._consider = consider
        self._listed = listed
        """Called when all that run were considered."""
        self._ending = ending
        self._starts: Starts | None = None
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """End the waiting, from any thread. Idempotent."""
        with self._lock:
            if self._starts is not None:
                self._starts.cancel()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._follow()
                self.state = "its stream of events ended"
            except Unreachable as error:
                self.state = str(error)
            except Exception as error:  # noqa: BLE001  whatever it is, try again
                _log.exception("following containers failed")
                self.state = f"failed: {error}"
            self._ending.wait(RETRY_S)

    def _follow(self) -> None:
        with self.runtime.starts() as starts:
            with self._lock:
                self._starts = starts
            try:
                if self._ending.is_set():
                    return
                for container_id in self.runtime.running():
                    self._consider(self.runtime, container_id)
                self._listed()
                self.state = "followed"
                for container_id in starts:
                    self._consider(self.runtime, container_id)
            finally:
                with self._lock:
                    self._starts = None

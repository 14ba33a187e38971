"""Attaching containers as they start.

In: selectors, container runtimes. Out: attach orders. I/O: one thread for each runtime, which waits
on its stream of events.
The stream is opened before what runs already is listed, so that no start falls between; where a
runtime goes away, both are done again once it is back. Ends of containers are not this module's: the
watcher sees every process end, however it was attached. A container that somebody detached is left
alone until it starts anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from pyctl.agent.config import AutoAttach
from pyctl.agent.events import Happening
from pyctl.agent.orders import AttachOrder
from pyctl.errors import SegctlError
from pyctl.policy.resolve import selects
from pyctl.runtime.base import Container, Runtime, Starts, Unreachable

_log = structlog.get_logger()
RETRY_S = 2.0
Consider = Callable[[Runtime, str], None]
"""What is done about a container that runs, by its id. Raises Unreachable."""


class AutoAttacher:
    """Started once. `attach` and `is_attached` (by pid) are the agent's; `tell` records."""

    def __init__(
        self,
        chosen: Sequence[AutoAttach],
        runtimes: Sequence[Runtime],
        *,
        attach: Callable[[AttachOrder], object],
        is_attached: Callable[[int], bool],
        tell: Callable[[Happening], None],
    ) -> None:
        self._chosen = chosen
        self._attach = attach
        self._is_attached = is_attached
        self._tell = tell
        self._seen: set[tuple[str, int]] = set()
        self._ending = threading.Event()
        self._followers = [
            _Follower(runtime, self._consider, self._ending)
            for runtime in (runtimes if chosen else ())
        ]

    def start(self) -> None:
        """Begin to follow."""
        for follower in self._followers:
            follower.thread.start()

    def stop(self) -> None:
        """Returns when no order can come any more."""
        self._ending.set()
        for follower in self._followers:
            follower.cancel()
        for follower in self._followers:
            if follower.thread.is_alive():
                follower.thread.join()

    def states(self) -> list[str]:
        """How each runtime is followed, a line each; none without selectors."""
        return [f"{one.runtime.place}: {one.state}" for one in self._followers]

    def _consider(self, runtime: Runtime, container_id: str) -> None:
        """Attach it where a selector takes it and nobody has dealt with this start of it."""
        if self._ending.is_set():
            return
        try:
            container = runtime.find(container_id)
        except SegctlError as error:
            # It has ended again.
            _log.debug("not attached", container=container_id, error=str(error))
            return
        if container is None:
            return
        start = (container.id, container.pid)
        if start in self._seen:
            return
        self._seen.add(start)
        for wanted in self._chosen:
            if selects(wanted.selector, container):
                self._attach_one(wanted, container)
                return

    def _attach_one(self, wanted: AutoAttach, container: Container) -> None:
        if self._is_attached(container.pid):
            return
        order = AttachOrder(
            found=container,
            datapath=wanted.datapath,
            mode=wanted.mode,
            fail=wanted.fail,
        )
        try:
            self._attach(order)
        except SegctlError as error:
            told = f"container {container.name} was not attached by itself: {error}"
            self._tell(Happening("lifecycle", told))


class _Follower:
    """One runtime's thread."""

    def __init__(
        self, runtime: Runtime, consider: Consider, ending: threading.Event
    ) -> None:
        self.runtime = runtime
        self.state = "not asked yet"
        self.thread = threading.Thread(
            target=self._run, name=f"auto-attach-{runtime.runtime}", daemon=True
        )
        self._consider = consider
        self._ending = ending
        self._starts: Starts | None = None
        self._lock = threading.Lock()

    def cancel(self) -> None:
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
                self.state = "followed"
                for container_id in starts:
                    self._consider(self.runtime, container_id)
            finally:
                with self._lock:
                    self._starts = None

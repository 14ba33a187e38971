"""Attaching containers as they start.

In: selectors, container runtimes. Out: attach orders. I/O: one thread for each runtime, which waits
on its stream of events, and one for what is to be tried again.
The stream is opened before what runs already is listed, so that no start falls between; where a
runtime goes away, both are done again once it is back. Ends of containers are not this module's: the
watcher sees every process end, however it was attached. A container that somebody detached is left
alone until it starts anew, or the agent does.

Containers may share a network namespace, as in a pod: the first that is selected is attached, and stands
for all of them; when it ends, the next one is attached in its place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from pyctl.agent.config import AutoAttach
from pyctl.agent.events import Happening
from pyctl.agent.orders import AttachOrder
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.platform.process import process_alive
from pyctl.policy.resolve import selects
from pyctl.runtime.base import Container, Runtime, Starts, Unreachable

_log = structlog.get_logger()
RETRY_S = 2.0
TRIES = 5
"""Of an attach that fails, and is not refused: the former container of that name may not be quite gone."""
SEEN_MAX = 10_000
Consider = Callable[[Runtime, str], None]
"""What is done about a container that runs, by its id. Raises Unreachable."""


@dataclass(frozen=True)
class _Later:
    """A container that is looked at again."""

    runtime: Runtime
    container: Container
    wanted: AutoAttach
    tries: int = 0
    """So many have failed."""
    holder: ProcessRef | None = None
    """Whose attach is its own, too, for as long as that lasts."""


class AutoAttacher:
    """Started once. `attach`, `rename` (of a container that had this name) and `holder` (the process for
    which the namespace of this pid is attached) are the agent's; `tell` records.
    """

    def __init__(
        self,
        chosen: Sequence[AutoAttach],
        runtimes: Sequence[Runtime],
        *,
        attach: Callable[[AttachOrder], object],
        rename: Callable[[Container, str], object],
        holder: Callable[[int], ProcessRef | None],
        tell: Callable[[Happening], None],
    ) -> None:
        self._chosen = chosen
        self._attach = attach
        self._rename = rename
        self._holder = holder
        self._tell = tell
        self._seen: dict[str, Container] = {}
        """By id: as it was at its start that was dealt with; of the newest."""
        self._later: deque[_Later] = deque()
        self._ending = threading.Event()
        self._again = threading.Thread(
            target=self._try_again, name="auto-attach-again", daemon=True
        )
        self._followers = [
            _Follower(runtime, self._consider, self._ending)
            for runtime in (runtimes if chosen else ())
        ]

    def start(self) -> None:
        """Begin to follow."""
        for follower in self._followers:
            follower.thread.start()
        if self._followers:
            self._again.start()

    def stop(self) -> None:
        """Returns when no order can come any more."""
        self._ending.set()
        for follower in self._followers:
            follower.cancel()
        for thread in (self._again, *(one.thread for one in self._followers)):
            if thread.is_alive():
                thread.join()

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
        seen = self._seen.pop(container.id, None)
        self._seen[container.id] = container
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        if seen is not None and seen.pid == container.pid:
            if seen.name != container.name:
                self._rename_one(container, seen.name)
            return
        for wanted in self._chosen:
            if selects(wanted.selector, container):
                self._attach_one(_Later(runtime, container, wanted))
                return

    def _rename_one(self, container: Container, before: str) -> None:
        """Its old name may be another's next, who must not be kept from being attached."""
        try:
            self._rename(container, before)
        except SegctlError as error:
            told = f"{before} is called {container.name} by now: {error}"
            self._tell(Happening("lifecycle", told))

    def _attach_one(self, one: _Later) -> None:
        container, wanted = one.container, one.wanted
        holder = self._holder(container.pid)
        if holder is not None:
            if holder.pid != container.pid:
                self._later.append(replace(one, holder=holder))
            return
        order = AttachOrder(
            found=container,
            datapath=wanted.datapath,
            mode=wanted.mode,
            fail=wanted.fail,
            by_itself=True,
        )
        try:
            self._attach(order)
        except SegctlError as error:
            told = f"container {container.name} was not attached by itself: {error}"
            self._tell(Happening("lifecycle", told))
            if not isinstance(error, RefusedError) and one.tries + 1 < TRIES:
                self._later.append(replace(one, tries=one.tries + 1))

    def _try_again(self) -> None:
        while not self._ending.wait(RETRY_S):
            for _ in range(len(self._later)):
                try:
                    self._look_again(self._later.popleft())
                except Exception:  # noqa: BLE001  the others have their turn
                    _log.exception("attaching again failed")

    def _look_again(self, one: _Later) -> None:
        if one.holder is not None and self._holder(one.container.pid) == one.holder:
            self._later.append(one)
            return
        if one.holder is not None and process_alive(one.holder):
            # Somebody detached what they shared, and meant it.
            return
        try:
            now = one.runtime.find(one.container.id)
        except (SegctlError, Unreachable) as error:
            _log.debug("not attached", container=one.container.id, error=str(error))
            return
        if now is not None and now.pid == one.container.pid:
            self._attach_one(replace(one, container=now))


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

"""Attaching containers as they start: those that a selector takes, and those that an operator attached before.

In: selectors, the memory, container runtimes. Out: attach orders. I/O: one thread for each runtime
(runtime_watch), and one for what is to be tried again.
Every attach that fails is told and tried again, ever more rarely, as long as the container runs. Ends of
containers are not this module's: the watcher sees every process end, however it was attached. A container
that somebody detached is left alone until it starts anew, or the agent does.

Containers may share a network namespace, as in a pod: the first that is selected is attached, and stands
for all of them; when it ends, the next one is attached in its place.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from pyctl.errors import RefusedError, SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.observe.runtime_watch import RuntimeWatch
from pyctl.platform.process import process_alive
from pyctl.policy.document.resolve import selects
from pyctl.policy.document.selectors import as_mapping
from pyctl.runtime.base import Container, Runtime
from pyctl.state.requests import AttachOrder, AutoAttach
from pyctl.telemetry.events import Happening

_log = structlog.get_logger()
RETRY_S = 0.25
RETRY_MAX_S = 60.0
"""Between two tries of an attach that fails: at first, when the former container of that name may not be quite
gone, and at last."""
HOLDER_S = 2.0
"""Between two looks whether an attach that is its own, too, lasts."""
SEEN_MAX = 10_000


@dataclass(frozen=True)
class _Later:
    """A container that is looked at again."""

    runtime: Runtime
    container: Container
    order: AttachOrder
    due: float = 0.0
    tries: int = 0
    """So many have failed."""
    holder: ProcessRef | None = None
    """Whose attach is its own, too, for as long as that lasts."""


class AutoAttacher:
    """Started once. `attach`, `rename` (of a container that had this name) and `holder` (the process for
    which the namespace of this pid is attached) are the agent's; `remembered` gives the order that an operator
    gave for a container; `tell` records.
    """

    def __init__(
        self,
        chosen: Sequence[AutoAttach],
        runtimes: Sequence[Runtime],
        *,
        attach: Callable[[AttachOrder], object],
        rename: Callable[[Container, str], object],
        holder: Callable[[int], ProcessRef | None],
        remembered: Callable[[Container], AttachOrder | None],
        tell: Callable[[Happening], None],
    ) -> None:
        self._chosen = chosen
        self._attach = attach
        self._rename = rename
        self._holder = holder
        self._remembered = remembered
        self._tell = tell
        self._seen: dict[str, Container] = {}
        """By id: as it was at its start that was dealt with; of the newest."""
        self._idle = set(range(len(chosen)))
        """Selectors that took nothing yet, by number; those of them that were told."""
        self._told_idle: set[int] = set()
        self._later: deque[_Later] = deque()
        self.failures: dict[str, str] = {}
        """By id: why a container that should be attached is not."""
        self._ending = threading.Event()
        self._wake = threading.Event()
        self._again = threading.Thread(
            target=self._try_again, name="auto-attach-again", daemon=True
        )
        self._watches: dict[str, RuntimeWatch] = {}
        self._lock = threading.Lock()
        self._configured = runtimes if chosen else ()

    def start(self) -> None:
        """Begin to follow the runtimes that are configured."""
        for runtime in self._configured:
            self.follow(runtime)

    def follow(self, runtime: Runtime) -> None:
        """Follow one more runtime, from now on. Idempotent."""
        with self._lock:
            if runtime.place in self._watches or self._ending.is_set():
                return
            if not self._watches:
                self._again.start()
            watch = RuntimeWatch(runtime, self._consider, self._listed, self._ending)
            self._watches = {**self._watches, runtime.place: watch}
            watch.thread.start()

    def stop(self) -> None:
        """Returns when no order can come any more."""
        with self._lock:
            self._ending.set()
            self._wake.set()
        for watch in self._watches.values():
            watch.cancel()
        for thread in (self._again, *(one.thread for one in self._watches.values())):
            if thread.is_alive():
                thread.join()

    @property
    def runtimes(self) -> list[Runtime]:
        """Those that are followed."""
        return [one.runtime for one in self._watches.values()]

    def states(self) -> list[str]:
        """How each runtime is followed, a line each; none where nothing is to be attached by itself."""
        return [f"{one.runtime.place}: {one.state}" for one in self._watches.values()]

    def _consider(self, runtime: Runtime, container_id: str) -> None:
        """Attach it where an operator or a selector wants it and nobody has dealt with this start of it."""
        if self._ending.is_set():
            return
        try:
            container = runtime.find(container_id)
        except RefusedError as error:
            # It has ended again.
            _log.debug("not attached", container=container_id, error=str(error))
            return
        except (SegctlError, OSError) as error:
            unknown = Container(container_id, container_id[:12], 0, runtime.runtime)
            self._failed(_Later(runtime, unknown, AttachOrder()), error)
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
        order = self._order_for(container)
        if order is not None:
            self._attach_one(_Later(runtime, container, order))

    def _order_for(self, container: Container) -> AttachOrder | None:
        """Return what an operator said of it, else what the first selector that takes it says."""
        order = self._remembered(container)
        if order is not None:
            return order
        for number, wanted in enumerate(self._chosen):
            if selects(wanted.selector, container):
                self._idle.discard(number)
                return AttachOrder(
                    datapath=wanted.datapath,
                    mode=wanted.mode,
                    fail=wanted.fail,
                    by_itself=True,
                    force=True,
                )
        return None

    def _listed(self) -> None:
        """All that run have been considered: a selector that takes none of them may be misspelt."""
        for number in sorted(self._idle - self._told_idle):
            self._told_idle.add(number)
            wanted = json.dumps(as_mapping(self._chosen[number].selector))
            told = f"auto-attach[{number}] selects none of the containers that run: {wanted}"
            self._tell(Happening("lifecycle", told))

    def _rename_one(self, container: Container, before: str) -> None:
        """Its old name may be another's next, who must not be kept from being attached."""
        try:
            self._rename(container, before)
        except SegctlError as error:
            told = f"{before} is called {container.name} by now: {error}"
            self._tell(Happening("lifecycle", told))

    def _attach_one(self, one: _Later) -> None:
        """Attach it, or see to it later. Raises nothing."""
        try:
            holder = self._holder(one.container.pid)
            if holder is None:
                self._attach(replace(one.order, found=one.container))
            elif holder.pid != one.container.pid:
                self._put_off(replace(one, holder=holder), HOLDER_S)
        except Exception as error:  # noqa: BLE001  whatever it is, nobody else would try again
            self._failed(one, error)
        else:
            self.failures.pop(one.container.id, None)

    def _failed(self, one: _Later, error: Exception) -> None:
        """Tell it where it is news, and have it tried again, ever more rarely."""
        name, why = one.container.name, str(error) or repr(error)
        if not isinstance(error, SegctlError | OSError):
            _log.error("attaching failed", container=name, exc_info=error)
        pause = min(RETRY_MAX_S, RETRY_S * 2**one.tries)
        if self.failures.get(one.container.id) != why:
            told = (
                f"container {name} was not attached by itself: {why} It is tried again."
            )
            self._tell(Happening("lifecycle", told))
        self.failures[one.container.id] = why
        self._put_off(replace(one, tries=min(one.tries + 1, 16)), pause)

    def _put_off(self, one: _Later, seconds: float) -> None:
        self._later.append(replace(one, due=time.monotonic() + seconds))
        self._wake.set()

    def _try_again(self) -> None:
        while not self._ending.is_set():
            due = min((one.due for one in list(self._later)), default=None)
            self._wake.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._wake.clear()
            for _ in range(len(self._later)):
                one = self._later.popleft()
                if one.due > time.monotonic() or self._ending.is_set():
                    self._later.append(one)
                    continue
                try:
                    self._look_again(one)
                except Exception as error:  # noqa: BLE001  the others have their turn
                    self._failed(one, error)

    def _look_again(self, one: _Later) -> None:
        if one.holder is not None and self._holder(one.container.pid) == one.holder:
            self._put_off(one, HOLDER_S)
            return
        if one.holder is not None and process_alive(one.holder):
            # Somebody detached what they shared, and meant it.
            return
        now = None
        with contextlib.suppress(RefusedError):
            now = one.runtime.find(one.container.id)
        if now is None or now.pid != one.container.pid != 0:
            # It has ended, or started anew, which is considered by itself.
            self.failures.pop(one.container.id, None)
        elif one.container.pid == 0:
            self.failures.pop(one.container.id, None)
            self._consider(one.runtime, now.id)
        elif order := self._order_for(now):
            # Nobody may want it any more.
            self._attach_one(replace(one, container=now, order=order, holder=None))
        else:
            self.failures.pop(one.container.id, None)

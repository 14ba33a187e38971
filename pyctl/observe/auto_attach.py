"""Attaching containers as they start: those that a selector takes, and those that an operator attached before.

In: selectors, the memory, container runtimes. Out: attach orders. I/O: one thread for each runtime
(runtime_watch), and a loop that attaches, and tries again.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from pyctl.controller.loop import Kind, Loop, Work, each
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.observe.runtime_watch import RuntimeWatch
from pyctl.platform.process import process_alive
from pyctl.policy.document.resolve import selects
from pyctl.policy.document.selectors import as_mapping
from pyctl.runtime.base import Container, Runtime, Unreachable
from pyctl.state.requests import AttachRequest, AutoAttach
from pyctl.telemetry.events import Event

_log = structlog.get_logger()
RETRY_S = 0.25
RETRY_MAX_S = 60.0
"""Seconds between two tries of a failing attach: at first, when the former container of that name may not be
quite gone, and at most."""
HOLDER_S = 2.0
"""Seconds between two checks whether the attach of another container in the same namespace lasts."""
SEEN_MAX = 10_000
_CONTAINER = "container"
"""The kind of work: a container to be attached, by its id."""


@dataclass(frozen=True)
class _Wanted:
    """A container that is to be attached."""

    runtime: Runtime
    container: Container
    """Its pid is 0 if the runtime could not describe it."""
    order: AttachRequest
    tried: bool = False
    """A former try failed or was put off: the container may have ended since."""
    holder: ProcessRef | None = None
    """The attached process whose network namespace the container shares."""


class AutoAttacher:
    """The worker that attaches containers as they start. `attach`, `rename` (given the container and its old
    name), `holder` (the process for which a pid's namespace is attached) and `tell` are the agent's;
    `remembered` returns the order that an operator gave for a container.
    """

    def __init__(
        self,
        chosen: Sequence[AutoAttach],
        runtimes: Sequence[Runtime],
        *,
        attach: Callable[[AttachRequest], object],
        rename: Callable[[Container, str], object],
        holder: Callable[[int], ProcessRef | None],
        remembered: Callable[[Container], AttachRequest | None],
        tell: Callable[[Event], None],
    ) -> None:
        self._chosen = chosen
        self._attach = attach
        self._rename = rename
        self._holder = holder
        self._remembered = remembered
        self._tell = tell
        self._seen: dict[str, Container] = {}
        """By id: the container as it was at its last handled start; at most SEEN_MAX."""
        self._idle = set(range(len(chosen)))
        """Selectors that matched nothing yet, by number; and those of them that were reported."""
        self._told_idle: set[int] = set()
        self._wanted: dict[str, _Wanted] = {}
        """By container id."""
        self.failures: dict[str, str] = {}
        """By id: why a container that should be attached is not."""
        self._ending = threading.Event()
        self._loop = Loop("auto-attach")
        kind = Kind(each(self._attach_one), self._failed, RETRY_S, RETRY_MAX_S, 0.0)
        self._loop.kind(_CONTAINER, kind)
        self._watches: dict[str, RuntimeWatch] = {}
        self._lock = threading.Lock()
        self._configured = runtimes if chosen else ()

    def start(self) -> None:
        """Start to follow the configured runtimes."""
        for runtime in self._configured:
            self.follow(runtime)

    def follow(self, runtime: Runtime) -> None:
        """Follow one more runtime from now on. Idempotent."""
        with self._lock:
            if runtime.place in self._watches or self._ending.is_set():
                return
            if not self._watches:
                self._loop.start()
            watch = RuntimeWatch(runtime, self._consider, self._listed, self._ending)
            self._watches = {**self._watches, runtime.place: watch}
            watch.thread.start()

    def stop(self) -> None:
        """Stop all threads; on return no order can come any more."""
        with self._lock:
            self._ending.set()
        for watch in self._watches.values():
            watch.cancel()
            watch.thread.join()
        self._loop.close()

    def pending(self) -> list[Work]:
        """Return the containers that are to be attached, or failed to be."""
        return self._loop.pending()

    @property
    def runtimes(self) -> list[Runtime]:
        """Return the runtimes that are followed."""
        return [one.runtime for one in self._watches.values()]

    def states(self) -> list[str]:
        """Return how each runtime is followed, a line each; empty if nothing is attached automatically."""
        return [f"{one.runtime.place}: {one.state}" for one in self._watches.values()]

    def _consider(self, runtime: Runtime, container_id: str) -> None:
        """Attach the container if an operator or a selector wants it and this start of it is new."""
        if self._ending.is_set():
            return
        try:
            container = runtime.find(container_id)
        except RefusedError as error:
            # The container has ended again.
            _log.debug("not attached", container=container_id, error=str(error))
            return
        except Unreachable:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the others are attached
            unknown = Container(container_id, container_id[:12], 0, runtime.runtime)
            self._want(_Wanted(runtime, unknown, AttachRequest(), tried=True))
            _log.debug("not known yet", container=container_id, error=str(error))
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
            self._want(_Wanted(runtime, container, order))

    def _order_for(self, container: Container) -> AttachRequest | None:
        """Return the operator's order for the container, else that of the first selector that matches."""
        order = self._remembered(container)
        if order is not None:
            return order
        for number, wanted in enumerate(self._chosen):
            if selects(wanted.selector, container):
                self._idle.discard(number)
                return AttachRequest(
                    datapath=wanted.datapath,
                    mode=wanted.mode,
                    fail=wanted.fail,
                    automatic=True,
                    force=True,
                )
        return None

    def _listed(self) -> None:
        """Report selectors that match no running container, after all were seen: a typo is likely."""
        for number in sorted(self._idle - self._told_idle):
            self._told_idle.add(number)
            wanted = json.dumps(as_mapping(self._chosen[number].selector))
            told = f"auto-attach[{number}] selects none of the containers that run: {wanted}"
            self._tell(Event("lifecycle", told))

    def _rename_one(self, container: Container, before: str) -> None:
        """Rename the workload of a renamed container, so that another can be attached under the old name."""
        try:
            self._rename(container, before)
        except (SegctlError, OSError) as error:
            told = f"{before} is called {container.name} by now: {error}"
            self._tell(Event("lifecycle", told))

    def _want(self, one: _Wanted) -> None:
        key = one.container.id
        self._wanted[key] = one
        # A failure of its former start is no reason to wait.
        self._loop.drop(_CONTAINER, key)
        self._loop.put(_CONTAINER, key)

    def _attach_one(self, key: str) -> None:
        """Attach the container if it is still wanted; what this raises is tried again."""
        one = self._wanted.pop(key, None)
        if one is None:
            return
        try:
            later = self._try(one)
        except Exception:
            self._wanted.setdefault(key, replace(one, tried=True))
            raise
        self.failures.pop(key, None)
        if later is not None and key not in self._wanted:
            self._wanted[key] = later
            self._loop.put(_CONTAINER, key, HOLDER_S)

    def _try(self, one: _Wanted) -> _Wanted | None:
        """Attach the container; return it if it must be looked at again later, else None."""
        now = self._look_again(one) if one.tried else one
        if now is None or now.holder is not None:
            return now
        holder = self._holder(now.container.pid)
        if holder is None:
            self._attach(replace(now.order, found=now.container))
        elif holder.pid != now.container.pid:
            return replace(now, tried=True, holder=holder)
        return None

    def _look_again(self, one: _Wanted) -> _Wanted | None:
        """Return the container as it is by now; None if it need not be attached."""
        if one.holder is not None:
            if self._holder(one.container.pid) == one.holder:
                return one
            if process_alive(one.holder):
                # Somebody detached the shared namespace on purpose.
                return None
        now = None
        with contextlib.suppress(RefusedError):
            now = one.runtime.find(one.container.id)
        if now is None or now.pid != one.container.pid != 0:
            # The container has ended, or started anew, which is a start of its own.
            return None
        if one.container.pid == 0:
            self._consider(one.runtime, now.id)
            return None
        order = self._order_for(now)
        if order is None:
            # Nobody wants it any more.
            return None
        return replace(one, container=now, order=order, holder=None)

    def _failed(self, key: str, error: Exception) -> None:
        one = self._wanted.get(key)
        name, why = one.container.name if one else key, str(error) or repr(error)
        told = f"auto-attach of container {name} failed: {why} It is tried again."
        self._tell(Event("lifecycle", told))
        self.failures[key] = why

"""What observers work with, played: a node's registry and events, loops that stand still, a poller that says
what a test wants said."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.controller import loop
from pyctl.controller.loop import Loop
from pyctl.model.instance import Instance
from pyctl.model.workload import ProcessRef, Workload
from pyctl.policy.document.resolve import effective_mode
from pyctl.policy.document.types import EMPTY
from pyctl.state.registry import Registry


class NoStore:
    """A disk that is not there."""

    def save(self, _workload: Workload) -> None: ...

    def forget(self, _workload_id: str) -> None: ...


class Looks(Loop):
    """A loop that a test moves on, in its own thread, by a clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__("observe")
        self.now = 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(loop, "time", clock)

    def start(self) -> None:
        """Nothing begins by itself."""
        self._thread = threading.current_thread()

    def close(self) -> None:
        """Nothing is under way."""
        self._closed, self._thread = True, None

    def pass_time(self, seconds: float = 0.0) -> None:
        """Do all that is due by then, and what follows from it at once."""
        self.now += seconds
        for _ in range(200):
            if not any(one.due <= self.now for one in self.pending()):
                return
            self._do_work()
        raise AssertionError(f"it does not come to rest: {self.pending()}")

    def reasons(self) -> dict[str, str]:
        """Why what failed failed, by key."""
        return {one.key: one.why for one in self.pending() if one.tries}


class Played:
    """A poller: descriptors that are watched, and which of them are armed."""

    def __init__(self) -> None:
        self.calls: dict[int, Callable[[], object]] = {}
        self.armed: set[int] = set()
        self.refuses: Exception | None = None

    def open(self, fd: int, call: Callable[[], object]) -> None:
        if self.refuses:
            raise self.refuses
        assert fd not in self.calls, "watched twice"
        self.calls[fd] = call
        self.armed.add(fd)

    def arm(self, fd: int) -> None:
        if fd in self.calls:
            self.armed.add(fd)

    def shut(self, fd: int) -> None:
        self.calls.pop(fd, None)
        self.armed.discard(fd)

    def says(self, fd: int) -> bool:
        """Whether anybody hears that it is readable."""
        heard = fd in self.armed
        if heard:
            self.armed.discard(fd)
            self.calls[fd]()
        return heard

    def start(self) -> None: ...

    def close(self) -> None: ...


class Watch:
    """A netlink socket that says what it is told; its descriptor is a real one."""

    refuses: Exception | None = None

    def __init__(self, *place: object) -> None:
        if type(self).refuses:
            raise type(self).refuses
        self.place = place
        self.said: Any = frozenset()
        self._fd = os.eventfd(0)
        # As a socket ends where nobody has it any more.
        self._end = weakref.finalize(self, os.close, self._fd)
        self.drained = 0

    def fileno(self) -> int:
        return self._fd

    def touched(self) -> Any:
        said, self.said = self.said, frozenset()
        return said

    def drain(self) -> bool:
        self.drained += 1
        return True

    def close(self) -> None:
        self._end()


class Node:
    """A context, with nothing behind it."""

    def __init__(self) -> None:
        self.instance = Instance("segt-observe")
        self.registry = Registry(NoStore())  # type: ignore[arg-type]
        self.told: list[str] = []
        self.refreshed = 0
        self.refuses: Exception | None = None
        self.policy = EMPTY
        self.steering = SimpleNamespace(segments={})

    def happened(self, event: Any) -> None:
        self.told.append(
            f"{event.workload}: {event.message}" if event.workload else event.message
        )

    def refresh(self) -> int:
        self.refreshed += 1
        if self.refuses:
            raise self.refuses
        return 0

    def mode_of(self, workload: Workload) -> Any:
        return effective_mode(self.policy, workload)


def living(load: Workload, pid: int) -> Workload:
    """The workload, of a process of its own in a namespace of its own."""
    return replace(load, process=ProcessRef(pid, pid, (4, 10_000 + pid)))


def descriptors() -> Iterator[int]:
    """Descriptors of this process, by number."""
    return map(int, os.listdir("/proc/self/fd"))  # noqa: PTH208  numbers, and no paths

"""A thread that does what is asked for, what has changed, and what was refused and is tried again.

In: requests (`do`), and work by its kind and key (`put`). Out: each is done, one at a time. Work says what is
to be looked at, not what has happened: of a kind and key there is at most one, and its handler reads the
state when it runs. What fails stays pending with its reason, and is tried again ever more rarely. Requests go
in the order of asking, and in turn with work, so that neither keeps the other waiting. What must not wait for a long
call cuts in where that gives way. The controller's loop is the only thread that changes anything; observers have loops that only look.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import structlog

from pyctl.errors import SegctlError, UnreachableError

_log = structlog.get_logger()
T = TypeVar("T")
Key = tuple[str, str]
Failures = Mapping[str, Exception]
AT_ONCE = 12
RESTS = 4.0
"""After work of t seconds, its key rests for RESTS * t seconds: a key that changes all the time must not keep
the loop from the others."""
_TRIES_MAX = 16


@dataclass(frozen=True)
class Work:
    """One piece of work that is due at a time."""

    kind: str
    key: str
    due: float
    tries: int = 0
    """How many tries have failed in a row."""
    why: str = ""
    """Why the last try failed."""


@dataclass(frozen=True)
class Kind:
    """The handler for work of one kind, and when it runs again."""

    handle: Callable[[Sequence[str]], Failures]
    """Handles keys and returns the failures by key; an exception is the failure of all keys."""
    failed: Callable[[str, Exception], object]
    """Called with a key and its error if the reason is new."""
    retry_s: float = 3.0
    retry_max_s: float = 60.0
    rests: float = RESTS
    every_s: float | None = None
    """Seconds after which done work runs again; None: only when it is put again."""
    at_once: int = AT_ONCE
    """How many keys the handler gets in one call, for which the next request waits."""


@dataclass(eq=False)
class _Request:
    call: Callable[[], Any]
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: BaseException | None = None
    may_cut_in: Callable[[], bool] | None = None


class Loop:
    """A thread that runs requests and work one at a time. Before `start`, `do` runs its call in the caller's
    thread. `after` is called after each request or batch of work.
    """

    def __init__(self, name: str, after: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._after = after
        self._kinds: dict[str, Kind] = {}
        self._changed = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._work: dict[Key, Work] = {}
        self._running: dict[Key, Work] = {}
        self._rests: dict[Key, float] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._gives_way = False
        """A request that cut in runs: it does not give way in its turn."""

    def kind(self, name: str, kind: Kind) -> None:
        """Register how work of this kind is done."""
        self._kinds[name] = kind

    def start(self) -> None:
        """Start the loop's thread."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the loop after the current call; refuse waiting requests and drop pending work. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        self._thread = None

    @property
    def closing(self) -> bool:
        """Return whether the loop was told to end."""
        return self._closed

    def do(
        self, call: Callable[[], T], may_cut_in: Callable[[], bool] | None = None
    ) -> T:
        """Run `call` in the loop and return its result, or raise its error. UnreachableError if the loop
        ends. An interrupted caller withdraws a waiting request, or waits for a running one. `may_cut_in`: asked
        where another call gives way, whether this one may run in between.
        """
        if self._thread is threading.current_thread():
            return call()
        request = _Request(call)
        request.may_cut_in = may_cut_in
        with self._changed:
            if self._closed:
                raise _ending()
            running = self._thread is not None
            if running:
                self._requests.append(request)
                self._changed.notify_all()
        if not running:
            return call()
        try:
            request.done.wait()
        except BaseException:
            with self._changed:
                if request in self._requests:
                    self._requests.remove(request)
                    raise
            request.done.wait()
            raise
        if request.error is not None:
            raise request.error
        result: T = request.result
        return result

    def put(self, kind: str, key: str = "", after_s: float = 0.0) -> None:
        """Schedule the key's work in `after_s` seconds, or when it is due if that is sooner. Work that failed
        waits for its next try.
        """
        with self._changed:
            now = time.monotonic()
            due = max(now + after_s, self._rests.get((kind, key), now))
            known = self._work.get((kind, key))
            if known is None:
                self._work[kind, key] = Work(kind, key, due)
            elif due < known.due and not known.tries:
                self._work[kind, key] = replace(known, due=due)
            self._changed.notify_all()

    def drop(self, kind: str, key: str) -> None:
        """Forget the key's work; if it runs now, it ends and is not tried again."""
        with self._changed:
            self._work.pop((kind, key), None)
            self._running.pop((kind, key), None)

    def rest(self, kind: str, key: str, seconds: float) -> None:
        """Leave the key alone for so many seconds, even if it is put again."""
        with self._changed:
            self._rests[kind, key] = time.monotonic() + seconds

    def pending(self) -> list[Work]:
        """Return the work that runs, is due, or failed and will be tried again."""
        with self._changed:
            known = {**self._running, **self._work}
        return [known[key] for key in sorted(known)]

    def yield_to_waiters(self) -> None:
        """Run the requests that wait now and one batch of work, then return. Call it from the loop, with
        nothing half done; elsewhere it does nothing. UnreachableError if the loop ends.
        """
        if self._thread is not threading.current_thread():
            return
        if self._closed:
            raise _ending("what was done by now holds, the rest is as it was")
        with self._changed:
            waiting = len(self._requests)
        for _ in range(waiting):
            self._do_request()
        self._do_work()

    def give_way(self) -> None:
        """Run the waiting requests that may cut in, then return. Call it from the loop, in the midst of a long call,
        where what the others' requests need is whole; elsewhere it does nothing.
        """
        if self._thread is not threading.current_thread() or self._gives_way:
            return
        with self._changed:
            waiting = [one for one in self._requests if one.may_cut_in is not None]
        self._gives_way = True
        try:
            for request in waiting:
                if request.may_cut_in is not None and request.may_cut_in():
                    with self._changed:
                        if self._closed or request not in self._requests:
                            # Its asker was interrupted.
                            continue
                        self._requests.remove(request)
                    self._answer(request)
        finally:
            self._gives_way = False

    def _run(self) -> None:
        try:
            while not self._closed:
                self._wait()
                self._do_request()
                self._do_work()
        finally:
            # Whatever ended it, nobody waits for an answer that does not come.
            with self._changed:
                self._closed = True
                refused, self._requests = self._requests, deque()
            for request in refused:
                request.error = _ending()
                request.done.set()

    def _wait(self) -> None:
        """Wait until there is a request, work is due, or the loop ends."""
        with self._changed:
            if not self._requests and not self._closed:
                due = min((one.due for one in self._work.values()), default=None)
                pause = None if due is None else due - time.monotonic()
                if pause is None or pause > 0:
                    self._changed.wait(pause)

    def _do_request(self) -> None:
        with self._changed:
            if self._closed or not self._requests:
                return
            request = self._requests.popleft()
        self._answer(request)

    def _answer(self, request: _Request) -> None:
        try:
            request.result = request.call()
        except BaseException as error:  # noqa: BLE001  it is the asker's
            request.error = error
        self._call_back(self._after)
        request.done.set()

    def _do_work(self) -> None:
        """Run the work that has been due for longest, with other due work of its kind."""
        now = time.monotonic()
        with self._changed:
            due = sorted(
                (one for one in self._work.values() if one.due <= now),
                key=lambda one: one.due,
            )
            if self._closed or not due:
                return
            batch = [one for one in due if one.kind == due[0].kind]
            batch = batch[: self._kinds[due[0].kind].at_once]
            for one in batch:
                key = one.kind, one.key
                self._running[key] = self._work.pop(key)
        kind = self._kinds[batch[0].kind]
        keys = [one.key for one in batch]
        try:
            failures = kind.handle(keys)
        except Exception as error:  # noqa: BLE001  the loop lives on
            failures = dict.fromkeys(keys, error)
        ended = time.monotonic()
        self._call_back(self._after)
        with self._changed:
            until = ended + kind.rests * (ended - now) / len(batch)
            self._rests = {key: at for key, at in self._rests.items() if at > ended}
            news = [one for one in batch if self._requeue(kind, one, until, failures)]
        for one in news:
            self._call_back(partial(kind.failed, one.key, failures[one.key]))

    def _requeue(self, kind: Kind, one: Work, until: float, failures: Failures) -> bool:
        """Schedule the next run of finished work; return whether it failed for a new reason."""
        key = one.kind, one.key
        rests = self._rests[key] = max(until, self._rests.get(key, until))
        again, error = self._work.get(key), failures.get(one.key)
        if again is not None:
            # The key was put again while its work ran.
            self._work[key] = replace(again, due=max(again.due, rests))
        if self._running.pop(key, None) is None:
            return False
        if error is None:
            if kind.every_s is not None:
                self.put(one.kind, one.key, kind.every_s)
            return False
        foreseen = isinstance(error, SegctlError | OSError)
        why = (str(error) if foreseen else "") or repr(error)
        news = why != one.why
        if news and not isinstance(error, SegctlError):
            _log.error("work failed", of=one.kind, about=one.key, exc_info=error)
        pause = min(kind.retry_max_s, kind.retry_s * 2**one.tries)
        tries = min(one.tries + 1, _TRIES_MAX)
        self._work[key] = Work(*key, time.monotonic() + pause, tries, why)
        return news

    def _call_back(self, call: Callable[[], object]) -> None:
        """Run a callback; log its exceptions instead of raising them, so that the loop lives on."""
        try:
            call()
        except Exception as error:  # noqa: BLE001  see above
            _log.error("telling failed", loop=self._name, exc_info=error)


def each(call: Callable[[str], object]) -> Callable[[Sequence[str]], Failures]:
    """Return a handler that runs `call` for one key after the other and collects the failures."""

    def handle(keys: Sequence[str]) -> Failures:
        failures: dict[str, Exception] = {}
        for key in keys:
            try:
                call(key)
            except Exception as error:  # noqa: BLE001  the others have their turn
                failures[key] = error
        return failures

    return handle


def _ending(state: str = "nothing was changed") -> UnreachableError:
    return UnreachableError("the agent is ending", state=state)

"""The host's bridges that workloads are on, as they are by now.

In: the registry, link events of the host's namespaces. Out: ports that know their segment, and the drivers told
of the bridges' MACs. One thread calls it. A bridge takes the lowest MAC of its ports where nobody gave it one, so
each that comes or goes may change the MAC by which the host speaks.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from pyctl.controller.context import Context
from pyctl.controller.segments import take
from pyctl.errors import NotFoundError
from pyctl.intercept.survey.segments import Found, Namespace, read_segments
from pyctl.observe.poller import Eyes
from pyctl.platform.watch.changes import RTMGRP_LINK, ChangeWatch

_PAUSES = 4
"""After a look, so many times as long there is none: a host whose links change all the time must not take the
agent from the workloads."""


class Segments:
    """Calling it looks again where something has changed; `close` it after `eyes`."""

    def __init__(
        self, context: Context, lock: AbstractContextManager[object], eyes: Eyes
    ) -> None:
        self._context = context
        self._lock = lock
        self._eyes = eyes
        self._watches: dict[Namespace, ChangeWatch] = {}
        self._needed: set[Namespace] = set()
        self._seen: object = None
        self._touched = False
        self._rests = 0.0

    def __call__(self) -> None:
        """Look, where it is due."""
        began = time.monotonic()
        registry = self._context.registry
        if began < self._rests or (registry.by_id is self._seen and not self._touched):
            return
        self._seen, self._touched, self._needed = registry.by_id, False, set()
        ports = [port for workload in registry.all() for port in workload.ports]
        try:
            found = read_segments(self._context.instance, ports, self._watch)
        except NotFoundError:
            return
        for namespace in self._watches.keys() - self._needed:
            self._let_go(namespace)
        with self._lock:
            self._take(found)
        self._rests = time.monotonic() + _PAUSES * (time.monotonic() - began)

    def close(self) -> None:
        """Let the namespaces go."""
        for watch in self._watches.values():
            watch.close()
        self._watches = {}

    def _watch(self, namespace: Namespace, fd: int) -> None:
        self._needed.add(namespace)
        if namespace in self._watches:
            return
        watch = ChangeWatch(f"/proc/self/fd/{fd}", RTMGRP_LINK)
        self._watches[namespace] = watch

        def changed() -> None:
            watch.drain()
            self._touched = True

        self._eyes.open(watch.fileno(), changed)

    def _let_go(self, namespace: Namespace) -> None:
        watch = self._watches.pop(namespace)
        self._eyes.shut(watch.fileno())
        watch.close()

    def _take(self, found: Found) -> None:
        if take(self._context, found):
            self._context.refresh()

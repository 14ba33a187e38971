"""The host's bridges that workloads are on, as they are by now.

In: the registry, link events of the host's namespaces. Out: ports that know their segment, and the drivers told
of the bridges' MACs. A bridge takes the lowest MAC of its ports where nobody gave it one, so each that comes or
goes may change the MAC by which the host speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pyctl.controller.context import Context
from pyctl.controller.loop import Loop
from pyctl.controller.segments import take
from pyctl.intercept.survey.segments import Found, Namespace, read_segments
from pyctl.observe.poller import Poller
from pyctl.platform.watch.changes import RTMGRP_LINK, ChangeWatch


class Segments:
    """The watch of the host's bridges; call `look` on changes. It calls `touched` when links change."""

    def __init__(
        self,
        context: Context,
        controller: Loop,
        poller: Poller,
        touched: Callable[[], object],
    ) -> None:
        self._context = context
        self._do = controller.do
        self._poller = poller
        self._touched = touched
        self._watches: dict[Namespace, ChangeWatch] = {}
        self._needed: set[Namespace] = set()

    def close(self) -> None:
        """Close all watches and release the namespaces."""
        for watch in self._watches.values():
            watch.close()
        self._watches = {}

    def look(self) -> None:
        """Read the bridges, and have the controller store them."""
        self._needed = set()
        for watch in self._watches.values():
            watch.drain()
            self._poller.arm(watch.fileno())
        workloads = self._context.registry.all()
        ports = [port for workload in workloads for port in workload.ports]
        found = read_segments(self._context.instance, ports, self._watch)
        for namespace in self._watches.keys() - self._needed:
            self._let_go(namespace)
        self._do(partial(self._take, found))

    def _watch(self, namespace: Namespace, fd: int) -> None:
        self._needed.add(namespace)
        if namespace not in self._watches:
            watch = ChangeWatch(f"/proc/self/fd/{fd}", RTMGRP_LINK)
            self._watches[namespace] = watch
            try:
                self._poller.open(watch.fileno(), self._touched)
            except OSError:
                self._let_go(namespace)
                raise

    def _let_go(self, namespace: Namespace) -> None:
        watch = self._watches.pop(namespace)
        self._poller.shut(watch.fileno())
        watch.close()

    def _take(self, found: Found) -> None:
        if take(self._context, found):
            self._context.refresh()

"""The observers of what may change by itself: a thread that waits on descriptors, and a loop that looks.

In: pidfds of workloads, netlink sockets in their namespaces, in the enforcer's and the host's. Out: looks, whose
writes the controller does. Nothing polls the kernel for state. The engine is looked after by another
(engine_watch).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pyctl.controller.context import Context
from pyctl.controller.loop import RESTS, Kind, Loop, Work, each
from pyctl.engine.workers import Workers
from pyctl.errors import NotFoundError, SegctlError
from pyctl.observe.detour import Detour
from pyctl.observe.filters import Filters
from pyctl.observe.host_sides import HostSides
from pyctl.observe.hotplug import Hotplug
from pyctl.observe.poller import Poller
from pyctl.observe.segments import Segments
from pyctl.observe.workloads import CHANGED, ENDED, REGISTRY, Workloads
from pyctl.state.requests import AttachRequest
from pyctl.telemetry.events import Event

FILTERS, DETOUR = "filters", "detour"
HOST_SIDES, SEGMENTS, HOTPLUG = "host-sides", "segments", "hotplug"
_ENDED_AT_ONCE = 1000
_RETRY_S = 3.0
_PAUSE_S = 1.0
"""Pause after a repair: somebody who breaks things all the time must not keep the controller from the
workloads."""


class Watcher:
    """The threads of all observers, from `start` until `stop` returns. `attach` is the agent's."""

    def __init__(
        self,
        context: Context,
        engines: Workers,
        controller: Loop,
        attach: Callable[[AttachRequest], object],
    ) -> None:
        self._context = context
        self._engines = engines
        self._controller = controller
        self._poller = Poller()
        self._looks = looks = Loop("observe")
        self._hotplug = Hotplug(context, controller, attach)
        self._workloads = Workloads(
            context, controller, looks, self._poller, self._hotplug
        )
        touched = partial(looks.put, SEGMENTS)
        self._segments = Segments(context, controller, self._poller, touched)
        self._closes: list[Callable[[], object]] = [
            self._workloads.close,
            self._segments.close,
        ]
        self._kind(REGISTRY, self._workloads.follow_registry, rests=0.0)
        self._kind(SEGMENTS, self._segments.look)
        # Hotplug keeps its own times, so a failure for one workload does not delay the others.
        self._kind(HOTPLUG, self._hotplug, rests=0.0, retry_s=0.0)
        looks.kind(CHANGED, Kind(each(self._changed), self._failed))
        looks.kind(
            ENDED,
            # One pass over /proc serves all that ended together.
            Kind(
                self._workloads.see_to_ended,
                self._workloads.not_buried,
                rests=0.0,
                at_once=_ENDED_AT_ONCE,
            ),
        )

    def start(self) -> None:
        """Start the threads of all observers."""
        context, do = self._context, self._controller.do
        filters = Filters(context)
        host_sides = HostSides(context, self._controller)
        detour = Detour(context, self._engines)

        def repair() -> None:
            if do(filters.repair):
                self._looks.rest(FILTERS, "", _PAUSE_S)

        def look_at_detour() -> None:
            if do(detour.look):
                self._looks.rest(DETOUR, "", _PAUSE_S)

        self._watch(FILTERS, filters, repair, rests=0.0)
        self._watch(HOST_SIDES, host_sides, host_sides.follow)
        # Try again soon: the namespace may have lost its name.
        self._watch(DETOUR, detour, look_at_detour, rests=0.0, retry_s=0.2)

        def look_at_all() -> None:
            """Look at what happened while no agent was running."""
            do(partial(filters.tell_foreign_filters, None))
            host_sides.follow_all()

        self._kind("start", look_at_all)
        for kind in ("start", DETOUR, REGISTRY, SEGMENTS):
            self._looks.put(kind)
        self._looks.start()
        self._poller.start()

    def wake(self) -> None:
        """Look again at which workloads and bridges there are."""
        self._looks.put(REGISTRY)
        self._looks.put(SEGMENTS)

    def pending(self) -> list[Work]:
        """Return what is to be looked at, or failed."""
        return self._looks.pending()

    def stop(self) -> None:
        """End the threads and close the file descriptors."""
        # A running look still arms its descriptor.
        self._looks.close()
        self._poller.close()
        for close in self._closes:
            close()

    def _kind(
        self,
        name: str,
        look: Callable[[], object],
        *,
        rests: float = RESTS,
        retry_s: float = _RETRY_S,
    ) -> None:
        """Register how work without a key is done."""

        def handle(key: str) -> None:
            del key
            self._and_hotplug(look)

        # All ports and workloads share such work: what fails for one must not keep the others waiting.
        kind = Kind(each(handle), self._failed, retry_s, _RETRY_S, rests)
        self._looks.kind(name, kind)

    def _watch(
        self,
        name: str,
        watch: Filters | HostSides | Detour,
        look: Callable[[], object],
        *,
        rests: float = RESTS,
        retry_s: float = _RETRY_S,
    ) -> None:
        """Call `look` whenever the watch's descriptor is readable."""

        def handle() -> None:
            try:
                look()
            finally:
                self._poller.arm(watch.fileno())

        self._kind(name, handle, rests=rests, retry_s=retry_s)
        self._poller.open(watch.fileno(), partial(self._looks.put, name))
        self._closes.append(watch.close)

    def _changed(self, workload_id: str) -> None:
        self._and_hotplug(partial(self._workloads.look, workload_id))

    def _and_hotplug(self, look: Callable[[], object]) -> None:
        """Call `look`, then schedule the attach of new interfaces even if it failed."""
        try:
            look()
        finally:
            if (due := self._hotplug.due_in_s()) is not None:
                self._looks.put(HOTPLUG, after_s=due)

    def _failed(self, key: str, error: Exception) -> None:
        del key
        # NotFoundError means a namespace without its name or its last process; others report both.
        if isinstance(error, SegctlError) and not isinstance(error, NotFoundError):
            self._context.happened(Event("lifecycle", str(error)))

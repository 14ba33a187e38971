"""Workloads get their interfaces back: one, or many side by side.

In: workloads. Out: the kernel without their splices, steering and registry without their ports. The splices
of one workload are undone one after the other, those of several at once: a splice waits most of its time, for
grace periods of the kernel, and touches nothing of another's. The kernel sets the floor: it moves one
interface at a time to another namespace, in 20 ms of an otherwise idle host, holding the lock of all
networking while it waits for one (rcu_barrier). Each has its own journal, so a killed agent may leave several
half-done ones. What the agent knows is changed by one thread at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Lock

from pyctl.controller.context import Context
from pyctl.errors import SegctlError
from pyctl.intercept.detach import unsplice
from pyctl.model.workload import Offload, Port, Workload
from pyctl.telemetry.events import Event

_SIDE_BY_SIDE = 2
"""Measured with 150 workloads: one at a time takes 55 ms each and cuts the workload off for 44 ms; two take
45 and 58 ms; four 45 and 104 ms, because only one moves at a time (see intercept.detach).
"""
_GIVE_WAY_S = 0.05
"""Seconds that what must not wait may wait for the detach of others."""


@dataclass
class _Released:
    """The outcome of releasing some ports of a workload."""

    back: list[Port] = field(default_factory=list)
    again: dict[int, Port] = field(default_factory=dict)
    """The ports whose detach was rolled back, with their new indexes, by port id."""
    error: BaseException | None = None

    def left(self, workload: Workload) -> Workload:
        """Return the workload with its ports as they are by now, including those given back."""
        ports = (self.again.get(port.port_id, port) for port in workload.ports)
        return replace(workload, ports=tuple(ports))


def release_ports(
    context: Context, workload: Workload, ports: tuple[Port, ...]
) -> None:
    """Undo the splices of these ports of a workload; a workload without ports is dropped, unless it is
    `all_interfaces`.
    """
    with context.splicing((workload.id,)):
        given = _give_back(context, workload, ports, contextlib.nullcontext(), Lock())
    _forget(context, workload, given)


def release_many(
    context: Context,
    workloads: Sequence[Workload],
    begin: Callable[[Workload], None],
) -> Iterator[tuple[Workload, Exception | None]]:
    """Undo all splices of each workload for which `begin` (called in the worker thread) does not raise; yield
    each when it is done, with its error or None. A failed port stays attached.
    """
    turns, state_lock = Lock(), Lock()

    def one(workload: Workload) -> _Released:
        try:
            begin(workload)
        except Exception as error:  # noqa: BLE001  whatever it is, the others go on
            return _Released(error=error)
        return _give_back(context, workload, workload.ports, turns, state_lock)

    splicing = context.splicing([workload.id for workload in workloads])
    with splicing, ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        try:
            running = {pool.submit(one, workload): workload for workload in workloads}
            while running:
                ended, _ = wait(running, _GIVE_WAY_S, FIRST_COMPLETED)
                for done in ended:
                    workload, failed = running.pop(done), None
                    try:
                        with state_lock:
                            _forget(context, workload, done.result())
                    except Exception as error:  # noqa: BLE001  whatever it is, the others go on
                        failed = error
                    yield workload, failed
                with state_lock:
                    context.give_way()
        finally:
            pool.shutdown(cancel_futures=True)


def _give_back(
    context: Context,
    workload: Workload,
    ports: tuple[Port, ...],
    turns: contextlib.AbstractContextManager[object],
    state_lock: contextlib.AbstractContextManager[object],
) -> _Released:
    """Undo the splices in the kernel, one port after the other, up to the first that fails."""

    def steer_again(again: Port) -> None:
        """Steer a port whose detach failed and was rolled back: its pair stands, with new indexes."""
        given.again[again.port_id] = again
        with state_lock:
            context.keep_or_drop(given.left(workload))
            context.steer(workload, again)

    given = _Released()
    try:
        for port in ports:
            whose = context.instance, workload.process, port
            lost = unsplice(
                *whose,
                ports_ready=steer_again,
                turns=turns,
                give_way=context.give_way,
            )
            given.back.append(port)
            for sentence in lost:
                event = Event("lifecycle", sentence, workload=workload.name)
                context.happened(event)
    except BaseException as error:  # noqa: BLE001  raised when what is known was brought up to date
        given.error = error
    return given


def _forget(context: Context, workload: Workload, given: _Released) -> None:
    """Remove released ports from steering and registry; raise what failed. The filters went with their links.
    Maps and engine are cleaned now, after the workload has its network again.
    """
    left, failed = given.left(workload), given.error
    for port in given.back:
        try:
            context.steering.remove(port.port_id)
        except SegctlError as error:
            # It stays in the registry, so that whoever detaches it next removes the rest.
            failed = failed or error
            continue
        # Given addresses stay the workload's own, also on an interface that replaces this one.
        left = replace(
            left,
            ports=tuple(kept for kept in left.ports if kept != port),
            found=tuple(dict.fromkeys((*left.found, *port.addresses))),
        )
        context.keep_or_drop(left)
    context.switch_bridge()
    if given.error is not None and workload.offload is Offload.OFF:
        with contextlib.suppress(OSError, SegctlError):
            context.switch_offloads(workload)
    if failed is not None:
        raise failed

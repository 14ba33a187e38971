"""Workloads get their interfaces back: one, or many side by side.

In: workloads. Out: the kernel without their splices, steering and registry without their ports. The
splices of one workload are undone one after the other, those of several at once: a splice waits most
of its time, for grace periods of the kernel, and touches nothing of another's. The kernel sets the
floor: it moves one interface at a time to another namespace, in 20 ms of an otherwise idle host,
holding the lock of all networking while it waits for one (rcu_barrier). Each is journaled by
itself, so that a killed agent leaves some half-done ones instead of one. What the agent knows is
changed by one thread at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from threading import Lock

from pyctl.controller.context import Context
from pyctl.errors import SegctlError
from pyctl.intercept.detach import unsplice
from pyctl.model.workload import Offload, Port, Workload
from pyctl.telemetry.events import Event

_SIDE_BY_SIDE = 2
"""Measured, of 150: one takes 55 ms each, with the workload cut off for 44; two 45 and 58; four 45 and
104, as one at a time comes home (see intercept.detach) and the others wait for it, cut off.
"""


@dataclass
class _Released:
    """What became of some ports of a workload."""

    back: list[Port] = field(default_factory=list)
    again: dict[int, Port] = field(default_factory=dict)
    """Those whose detach was rolled back, as they are by now, by their port ids."""
    error: BaseException | None = None

    def left(self, workload: Workload) -> Workload:
        """The workload with the ports as they are by now, those that were given back included."""
        ports = (self.again.get(port.port_id, port) for port in workload.ports)
        return replace(workload, ports=tuple(ports))


def release_ports(
    context: Context, workload: Workload, ports: tuple[Port, ...]
) -> None:
    """Undo the splices of these of a workload's ports; with none left it is not attached, unless it is
    whole.
    """
    given = _give_back(context, workload, ports, contextlib.nullcontext(), Lock())
    _forget(context, workload, given)


def release_many(
    context: Context,
    workloads: Sequence[Workload],
    begin: Callable[[Workload], None],
) -> Iterator[tuple[Workload, Exception | None]]:
    """Undo all splices of each, where `begin` (called in the thread that does so) does not raise; gives
    each as it is done, with what kept it from it. A failed port stays attached.
    """
    turns, state_lock = Lock(), Lock()

    def one(workload: Workload) -> _Released:
        try:
            begin(workload)
        except Exception as error:  # noqa: BLE001  whatever it is, the others go on
            return _Released(error=error)
        return _give_back(context, workload, workload.ports, turns, state_lock)

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        try:
            running = {pool.submit(one, workload): workload for workload in workloads}
            for done in as_completed(running):
                workload, failed = running[done], None
                try:
                    with state_lock:
                        _forget(context, workload, done.result())
                except Exception as error:  # noqa: BLE001  whatever it is, the others go on
                    failed = error
                yield workload, failed
        finally:
            pool.shutdown(cancel_futures=True)


def _give_back(
    context: Context,
    workload: Workload,
    ports: tuple[Port, ...],
    turns: contextlib.AbstractContextManager[object],
    state_lock: contextlib.AbstractContextManager[object],
) -> _Released:
    """The kernel's part, one port after the other, up to the first that fails."""

    def steer_again(again: Port) -> None:
        """The detach failed and was rolled back: the pair stands, with new indexes, and needs its
        datapath.
        """
        given.again[again.port_id] = again
        with state_lock:
            context.keep_or_drop(given.left(workload))
            context.steer(workload, again)

    def lost(sentence: str) -> None:
        event = Event("lifecycle", sentence, workload=workload.name)
        context.happened(event)

    given = _Released()
    try:
        for port in ports:
            unsplice(
                context.instance,
                workload.process,
                port,
                before_restore=lambda: None,
                ports_ready=steer_again,
                turns=turns,
                tell=lost,
            )
            given.back.append(port)
    except BaseException as error:  # noqa: BLE001  raised when what is known was brought up to date
        given.error = error
    return given


def _forget(context: Context, workload: Workload, given: _Released) -> None:
    """The agent's part; raises what failed. The filters went with their links, so all that is left
    of a port in the maps and in the engine is removed now, when the workload has its network again.
    """
    left, failed = given.left(workload), given.error
    for port in given.back:
        try:
            context.steering.remove(port.port_id)
        except SegctlError as error:
            # It stays in the registry, so that whoever detaches it next removes the rest.
            failed = failed or error
            continue
        # What it was given stays its own, also on an interface that comes in the place of this one.
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

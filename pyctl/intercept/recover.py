"""Put right what a killed process left: interrupted splices, and ports that nobody
knows.

In: an instance. Out: what was found and done. I/O: the journals, then as a splice. An
interrupted attach is undone, an interrupted detach is finished: both end with the
workload's own interface in its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pyctl.errors import NotFoundError
from pyctl.intercept.attach import (
    Handles,
    handles,
    marked_netns,
    port_addresses,
    port_of,
)
from pyctl.intercept.detach import delete_ports
from pyctl.intercept.enforcer import ensure_enforcer, fit_mtu
from pyctl.intercept.names import Mark, read_mark
from pyctl.intercept.steps import apply, journal, plan
from pyctl.intercept.steps.ops import Site, ours
from pyctl.model.instance import Instance
from pyctl.model.workload import Port, ProcessRef
from pyctl.platform.inhabitants import find
from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import iproute_at
from pyctl.platform.netlink import l3
from pyctl.platform.netlink import links as raw_links
from pyctl.platform.netlink.links import Link


class Outcome(StrEnum):
    """The result of recovering one journal."""

    ROLLED_BACK = "rolled-back"
    FINISHED = "finished"
    WORKLOAD_GONE = "workload-gone"
    FAILED = "failed"


@dataclass(frozen=True)
class Recovered:
    """The interrupted splice that a journal described, and its outcome."""

    action: str
    """"attach" or "detach"; "" where the journal could not be read."""
    interface: str
    process: ProcessRef | None
    outcome: Outcome
    detail: str = ""


def recover(instance: Instance) -> list[Recovered]:
    """Repair every interrupted splice that nobody works on; return the outcomes. A failed repair keeps its
    journal and stops no other.

    Called before any attach or detach. Safe beside a splice under way: that one holds
    its journal's lock.
    """
    results = []
    for path in journal.pending(instance.journal_dir):
        try:
            with journal.taken(path) as found:
                if found is None:
                    continue
                book, record = found
                result = _repair(instance, record) if record else _unreadable(path)
                if result.outcome is not Outcome.FAILED:
                    book.remove()
        except OSError:
            result = _unreadable(path)
        results.append(result)
    _sweep(instance)
    if results:
        with contextlib.suppress(NotFoundError):
            fit_mtu(instance)
    return results


def _unreadable(path: Path) -> Recovered:
    return Recovered("", "", None, Outcome.FAILED, f"{path} cannot be understood")


def _sweep(instance: Instance) -> None:
    """Delete journals whose writer was killed while writing them: nothing had begun."""
    if not instance.journal_dir.is_dir():
        return
    for path in instance.journal_dir.glob(".*.journal.*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _repair(instance: Instance, record: journal.Record) -> Recovered:
    def told(outcome: Outcome, detail: str = "") -> Recovered:
        name = record.snapshot.link.name
        return Recovered(record.action, name, record.process, outcome, detail)

    try:
        ensure_enforcer(instance)
        fd = find(record.process.netns, record.cookie, record.process.pid)
        if fd is None:
            with iproute_at(instance.netns) as ip:
                delete_ports(ip, record.vin, record.vex)
            return told(Outcome.WORKLOAD_GONE)
        try:
            with handles(instance, fd) as ends:
                left, lost = _redo(record, ends)
        finally:
            os.close(fd)
    except Exception as error:  # noqa: BLE001  one journal, whatever it says, keeps no other from being repaired
        return told(Outcome.FAILED, str(error) or repr(error))
    if left:
        return told(Outcome.FAILED, "; ".join([*left, *lost]))
    done = Outcome.ROLLED_BACK if record.action == "attach" else Outcome.FINISHED
    return told(done, "; ".join(lost))


def _redo(record: journal.Record, ends: Handles) -> tuple[list[str], list[str]]:
    site = Site(
        record.snapshot,
        record.vex,
        record.vin,
        record.mark,
        *ends,
    )
    plans = {"attach": plan.attach_plan, "detach": plan.detach_plan}
    steps = plans[record.action](record.snapshot, record.vex, record.vin)
    if record.action == "detach":
        left = apply.finish(steps, site)
    else:
        left = apply.undo([step for step in steps if step.name in record.begun], site)
    return left, site.lost


@dataclass(frozen=True)
class Orphan:
    """A pair of ports in the enforcer's namespace that no known workload owns."""

    vex: str
    """"" where only vin is left."""
    vin: str
    process: ProcessRef
    """The process of the attach; it may have ended."""
    port: Port | None
    """Where the workload's namespace lives and is still spliced: it can be adopted, or
    detached.
    """


def find_orphans(instance: Instance, known_ports: Collection[Port]) -> list[Orphan]:
    """Return every marked vex and vin that is not in `known_ports`, in pairs."""
    known = {name for port in known_ports for name in (port.vex, port.vin)}
    pairs: dict[str, tuple[Mark, dict[str, Link]]] = {}
    try:
        with iproute_at(instance.netns) as ip:
            found = links.dump(ip)
    except NotFoundError:
        return []
    for link in found:
        mark = read_mark(link.alias)
        if mark and link.name not in known:
            pairs.setdefault(link.name[3:], (mark, {}))[1][link.name[:3]] = link
    return [_orphan(instance, mark, ends) for mark, ends in pairs.values()]


def _orphan(instance: Instance, mark: Mark, ends: dict[str, Link]) -> Orphan:
    vex, vin = ends.get("vex"), ends.get("vin")
    port = None
    if vex and vin:
        with marked_netns(mark) as fd:
            if fd is not None:
                port = _living_port(instance, mark, vex, vin, fd)
    process = ProcessRef(mark.pid, mark.start, mark.netns, mark.cookie)
    return Orphan(vex.name if vex else "", vin.name if vin else "", process, port)


def _living_port(
    instance: Instance, mark: Mark, vex: Link, vin: Link, fd: int
) -> Port | None:
    with handles(instance, fd) as ends:
        link = raw_links.by_index(ends.workload, vin.link)
        nsid = raw_links.nsid(ends.enforcer, ends.workload_fd)
        if link is None or not ours(link, vin, nsid):
            return None
        addresses = port_addresses(l3.dump_addresses(ends.workload, link.index))
        return port_of(
            mark, vex.name, vin.name, (vex.index, vin.index), link, addresses
        )

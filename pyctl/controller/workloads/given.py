"""Which addresses and MACs a workload was given.

In: ports and workloads, live and as they are known; the container runtimes. Out: ports and workloads with
what counts. I/O: reads the workload's namespace; the runtimes' APIs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.live_state import live_addresses, port_anew
from pyctl.intercept.survey.segments import read_segments
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    FollowAddresses,
    Port,
    RuntimeKind,
    Workload,
    link_local,
)
from pyctl.platform.process import process_alive
from pyctl.policy.compile.claims import claimed, contested, without
from pyctl.policy.document.resolve import Address, parsed
from pyctl.runtime.base import Container
from pyctl.runtime.resolve import resolve


def as_given(port: Port, given: Collection[str] | None) -> Port:
    """Return the port with only those addresses that are among `given`; None: all of them."""
    if given is None:
        return port
    known = set(parsed(tuple(given)))
    kept = (text for text in port.addresses if parsed((text,))[0] in known)
    return replace(port, addresses=tuple(kept))


def taken_anew(
    instance: Instance,
    known: Workload,
    container: Container | None,
    others: Iterable[Workload],
    *,
    automatic: bool,
) -> Workload:
    """Return the workload as if it were attached now: its current addresses count as given. `automatic`: only
    the addresses that its runtime names, if it names any.
    """
    told = container.addresses if container else known.told
    only = told if automatic and told else None
    ports = tuple(port_anew(instance, known.process, port) for port in known.ports)
    names = {port.interface for port in ports}
    live = live_addresses(known.process)
    anew = replace(
        known,
        ports=tuple(as_given(port, only) for port in ports),
        found=found_beside(live, names) if only is None else (),
        told=told,
        absent=(),
        taken=(),
    )
    anew = uncontested(instance, anew, others)
    return replace(anew, claims=claimed(anew, live))


def with_claims(workload: Workload) -> Workload:
    """Return the workload with claims for the addresses that it was not given; unchanged if it has ended."""
    try:
        live = live_addresses(workload.process)
    except NotFoundError:
        return workload
    return replace(workload, claims=claimed(workload, live))


def found_beside(
    live: Iterable[tuple[str, str]], interfaces: Collection[str]
) -> tuple[str, ...]:
    """Return the addresses of `live` (interface, address) that are on other interfaces than these."""
    return tuple(text for name, text in live if name not in interfaces)


def uncontested(
    instance: Instance,
    workload: Workload,
    others: Iterable[Workload],
    coming: Mapping[int, int] | None = None,
) -> Workload:
    """Return the workload without found addresses that another on the same bridge has: it may have taken them
    to get the other's rights. On unknown or different bridges, addresses are shared. `coming`: the bridges of
    ports that do not exist yet.
    """
    rivals = contested(workload, others)
    if not rivals:
        return workload
    known = {one.id: one for found in rivals.values() for one in found}
    ports = [port for one in (workload, *known.values()) for port in one.ports]
    there = read_segments(instance, ports, lambda *_: None).by_port
    places = {**(coming or {}), **there}
    mine = {places.get(port.port_id, 0) for port in workload.ports} - {0}
    return without(
        workload,
        {
            ip
            for ip, holders in rivals.items()
            if any(
                process_alive(one.process) and mine & places_of(one, ip, places)
                for one in holders
            )
        },
    )


def places_of(
    holder: Workload, ip: Address, places: Mapping[int, int]
) -> frozenset[int]:
    """Return the segments on which the holder has the address: of the ports that bear it, else of all."""
    at = [one for one in holder.ports if ip in parsed((*one.addresses, *_own(one)))]
    found = (places.get(one.port_id, 0) for one in at or holder.ports)
    return frozenset(found) - {0}


def _own(port: Port) -> tuple[str, ...]:
    return (link_local(port.mac),) if port.mac else ()


def yielding(
    instance: Instance, newcomer: Workload, others: Iterable[Workload]
) -> list[Workload]:
    """Return the others that lose a found address to the newcomer, whose runtime gave it, without it."""
    given = replace(
        newcomer,
        ports=tuple(replace(port, addresses=()) for port in newcomer.ports),
        found=(),
        added=(),
        claims=(),
        absent=(),
        taken=(),
    )
    if not given.told:
        return []
    now = ((one, uncontested(instance, one, (given,))) for one in others)
    return [with_claims(after) for before, after in now if after != before]


def told_by_runtime(workload: Workload) -> tuple[str, ...]:
    """Return the addresses that the workload's runtime names now; if it does not answer, those named at
    attach.
    """
    if workload.runtime == RuntimeKind.PROCESS:
        return ()
    try:
        return resolve(workload.id, None).addresses
    except SegctlError:
        return workload.told


def mac_that_counts(
    workload: Workload, was: Port, now: Port, others: Collection[Workload]
) -> tuple[str, str]:
    """Return the port's MAC that counts, and why the interface's current MAC does not (else empty)."""
    if now.mac == was.mac:
        return was.mac, ""
    macs = {port.mac: one.name for one in others for port in one.ports}
    if now.mac in macs:
        return was.mac, f"refused, {macs[now.mac]} has it"
    if workload.follow is FollowAddresses.NO:
        why = "its MAC is not followed (attach --follow-addresses, or attach again)"
        return was.mac, why
    return now.mac, ""

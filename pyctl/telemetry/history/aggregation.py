"""Turns a flood of one workload into counts; other workloads' records stay whole.

In: flow records or events of one batch, and how many there is room for. Out: as many or fewer. I/O: none.
Where there are more than that, the room is shared fairly: a workload within its share is recorded one by one,
and only one with more is summed up. A scan makes thousands of records a second, each of another port; so a
crowd becomes one record with a count. A crowd differs in the initiator's port only, then in both ports, then in
the far end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from pyctl.telemetry.events import Event
from pyctl.telemetry.history.values import FlowRecord
from pyctl.telemetry.repeats import Repeats

Record = TypeVar("Record", FlowRecord, Event)
CROWD = 8
"""Up to this many alike records stay single, as long as there is room for them."""
_ANYWHERE = {False: "0.0.0.0", True: "::"}  # noqa: S104  an address of nobody; nothing is bound
"""The unspecified address, by whether it is IPv6."""


@dataclass(frozen=True)
class Blur(Generic[Record]):
    """A detail that is left out of records, so that more of them are alike."""

    name: Callable[[Record], Hashable]
    """Equal for records that are alike without the detail; called for every record of a flood."""
    of: Callable[[Record], Record]
    """Returns the record without the detail."""


@dataclass(frozen=True)
class Kind(Generic[Record]):
    """How records of one type are aggregated."""

    owner: Callable[[Record], Hashable]
    """Returns the workload that the record belongs to, for shares of the room."""
    total: Callable[..., Record]
    """Returns any number of records as one, with the first one's identity."""
    blurs: tuple[Blur[Record], ...]
    """From the least loss of detail to the greatest."""


def fair_share(counts: Iterable[int], room: int) -> int:
    """Return the most that each may have, so that all fit in the room; what some do not need goes to the
    others.
    """
    ascending = sorted(counts)
    for number, count in enumerate(ascending):
        share = room // (len(ascending) - number)
        if count > share:
            return share
        room -= count
    return ascending[-1] if ascending else 0


def aggregate(records: list[Record], kind: Kind[Record], room: int) -> list[Record]:
    """Return fewer records, each packet and byte counted once; if sums are not enough, more than `room`."""
    if len(records) <= room:
        return records
    owners = _by(kind.owner, records)
    share = fair_share(map(len, owners.values()), room)
    found: list[Record] = []
    for owned in owners.values():
        told = owned
        for crowd in (CROWD, 1):
            for blur in kind.blurs:
                if len(told) > share:
                    told = _gathered(told, blur, kind.total, crowd)
        found += told
    return found


def trim(records: list[Record], kind: Kind[Record], room: int) -> list[Record]:
    """Return at most `room` records: the first ones of each owner."""
    owners = _by(kind.owner, records)
    share = fair_share(map(len, owners.values()), room)
    return [one for owned in owners.values() for one in owned[:share]]


def _by(
    key: Callable[[Record], Hashable], records: Iterable[Record]
) -> dict[Hashable, list[Record]]:
    found: dict[Hashable, list[Record]] = {}
    for one in records:
        found.setdefault(key(one), []).append(one)
    return found


def _gathered(
    records: list[Record],
    blur: Blur[Record],
    total: Callable[..., Record],
    crowd: int,
) -> list[Record]:
    found: list[Record] = []
    for alike in _by(blur.name, records).values():
        if len(alike) <= crowd:
            found += alike
        else:
            found.append(total(blur.of(alike[0]), *alike[1:]))
    return found


def _same_flow(first: FlowRecord, *others: FlowRecord) -> FlowRecord:
    total = first.and_more(*others)
    is_one_flow = first.verdict == "deny" and first.sport is not None
    return replace(total, flows=first.flows) if is_one_flow else total


ATTEMPTS = partial(
    Repeats[FlowRecord],
    name=lambda one: one.identity if one.verdict == "deny" else None,
    time=lambda one: one.last,
    both=_same_flow,
    window_s=60.0,
)
"""Repeats of a denied flow are one attempt, and one row."""


def repeats_folded(records: Iterable[FlowRecord]) -> list[FlowRecord]:
    """Return each flow once, with its repeats counted; the start tells ended flows apart."""
    flows = _by(
        lambda one: (None if one.verdict == "deny" else one.started, *one.identity),
        records,
    )
    return [one[0] if len(one) == 1 else _same_flow(*one) for one in flows.values()]


def is_of_any_far_end(one: FlowRecord) -> bool:
    """Return whether the record is the sum of many addresses."""
    nobody = _ANYWHERE.values()
    return one.dport is None and (one.source in nobody or one.destination in nobody)


def _flow_of_any_far_end(one: FlowRecord) -> FlowRecord:
    """Return the flow without ports; if denied, without its far end, which no rule may be learned from."""
    one = replace(one, sport=None, dport=None)
    if one.verdict != "deny":
        return one
    if one.direction == "egress":
        nobody = _ANYWHERE[":" in one.destination]
        return replace(one, destination=nobody, destination_name=None)
    nobody = _ANYWHERE[":" in one.source]
    return replace(one, source=nobody, source_name=None)


def _flow_without_ports(one: FlowRecord) -> tuple[object, ...]:
    way = one.port_id, one.direction, one.protocol
    return (*way, one.source, one.destination, *one.judged)


def _flow_without_far_end(one: FlowRecord) -> tuple[object, ...]:
    if one.verdict != "deny":
        return _flow_without_ports(one)
    own = one.source if one.direction == "egress" else one.destination
    return (one.port_id, one.direction, one.protocol, own, *one.judged)


FLOWS: Kind[FlowRecord] = Kind(
    owner=lambda one: one.workload or one.port_id,
    total=FlowRecord.and_more,
    blurs=(
        Blur(
            lambda one: (one.dport, *_flow_without_ports(one)),
            lambda one: replace(one, sport=None),
        ),
        Blur(_flow_without_ports, lambda one: replace(one, sport=None, dport=None)),
        Blur(_flow_without_far_end, _flow_of_any_far_end),
    ),
)


def _blurred_events(
    ends: Callable[[Event], tuple[str | None, str | None]],
) -> Blur[Event]:
    """Return a blur that replaces source and destination by what `ends` gives."""

    def name(one: Event) -> Hashable:
        # Events without a packet count happened once: their time keeps them apart.
        left = ends(one) if one.packets else (one.source, one.destination, one.time)
        why = one.kind, one.message, one.reason, one.rule_id
        return (one.workload, one.port_id, one.direction, one.protocol, *why, *left)

    def of(one: Event) -> Event:
        source, destination = ends(one)
        return replace(one, source=source, destination=destination)

    return Blur(name, of)


def _own_end(one: Event) -> tuple[str | None, str | None]:
    if one.direction == "egress":
        return _address(one.source), None
    return None, _address(one.destination)


def _address(endpoint: str | None) -> str | None:
    """Return the address of an endpoint that model.flow.endpoint wrote."""
    if endpoint is None:
        return None
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    return endpoint.partition(":")[0] if endpoint.count(":") == 1 else endpoint


EVENTS: Kind[Event] = Kind(
    owner=lambda one: one.workload or one.port_id,
    total=Event.repeated,
    blurs=(
        _blurred_events(lambda one: (_address(one.source), one.destination)),
        _blurred_events(lambda one: (_address(one.source), _address(one.destination))),
        _blurred_events(_own_end),
    ),
)

"""A flow as one end's judge saw it, and what both ends say as one flow.

In: values. Out: values. I/O: none.
Traffic between two attached workloads is judged twice, as egress of one and ingress of the other,
which are two records of one flow: same protocol, addresses and ports, at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pyctl.model.apps import UNKNOWN_NAME
from pyctl.model.flow import Answer, Look
from pyctl.model.records import Verdict

_SAME_TIME_S = 5.0
_WORST: tuple[Verdict, ...] = ("deny", "violation", "allow")


@dataclass(frozen=True)
class FlowRecord:
    """One flow at one port; addresses and ports as its initiator wrote them. The fields are columns of the
    database.
    """

    started: float
    """Seconds since the epoch, as `last`."""
    last: float
    workload: str | None
    """The workload whose port judged it."""
    port_id: int
    direction: str | None
    """`egress` or `ingress`: how the workload sees it."""
    protocol: str
    source: str
    sport: int | None
    """ICMP: type << 8 | code. None: many, folded."""
    destination: str
    dport: int | None
    """ICMP: the identifier. None: many, folded."""
    source_name: str | None
    """The workload that had the address then."""
    destination_name: str | None
    packets: int
    """From the initiator, as `bytes`: frames, with their Ethernet headers."""
    bytes: int
    back_packets: int
    back_bytes: int
    kernel_packets: int
    """Packets of both directions that the kernel carried; the engine carried the others."""
    kernel_bytes: int
    verdict: Verdict
    rule_id: int | None
    """The id of the rule that decided last. None: no rule matched."""
    reason: str | None
    """As in abi.REASONS; None for what is allowed."""
    flows: int = 1
    """How many were folded into this one."""
    answer: str = Answer.NONE
    """An Answer of model.flow."""
    app: str | None = None
    """The application by its name in model.apps, or `unknown`. None: nobody looked, or it is not known."""
    app_guessed: bool = False
    """`app` is a guess."""
    looked_up: str = ""
    """The DNS names under which the initiator had looked the destination up, with spaces between them."""
    shown: str = ""
    """The name in its handshake, or its last request, METHOD HOST/PATH. Empty: none is known, or those of several differ."""

    @property
    def both_see(self) -> tuple[object, ...]:
        """Return what the records of both ends have in common."""
        return self.protocol, self.source, self.sport, self.destination, self.dport

    @property
    def identity(self) -> tuple[object, ...]:
        """Return a tuple that is equal for repeats of one flow at one port."""
        return (self.port_id, self.direction, *self.both_see, *self.judged)

    @property
    def judged(self) -> tuple[object, ...]:
        """Return what was found out of the flow and decided on it."""
        why = (self.verdict, self.rule_id, self.reason)
        return (*why, self.answer, self.app, self.app_guessed, self.looked_up)

    def and_more(self, *others: FlowRecord) -> FlowRecord:
        """Return all these records as one with this one's identity."""
        every = (self, *others)
        return replace(
            self,
            started=min(one.started for one in every),
            last=max(one.last for one in every),
            packets=sum(one.packets for one in every),
            bytes=sum(one.bytes for one in every),
            back_packets=sum(one.back_packets for one in every),
            back_bytes=sum(one.back_bytes for one in every),
            kernel_packets=sum(one.kernel_packets for one in every),
            kernel_bytes=sum(one.kernel_bytes for one in every),
            flows=sum(one.flows for one in every),
            shown=self.shown if len({one.shown for one in every}) == 1 else "",
        )


@dataclass(frozen=True)
class LiveRecord(FlowRecord):
    """A flow that goes on, at one port."""

    look: Look = Look.NONE


_UNSETTLED = (Look.PENDING, Look.DECIDED, Look.REQUESTS, Look.SENSORS)


@dataclass
class Flow:
    """A flow as it is shown: the judgements of one or both of its ends, the initiator's first."""

    ends: list[FlowRecord]
    live: bool = False
    """The flow goes on: its counts grow."""

    @property
    def first(self) -> FlowRecord:
        """Return the record of the end nearest to the initiator, which saw all of the flow and counts it."""
        return self.ends[0]

    @property
    def decisive(self) -> FlowRecord:
        """Return the record of the end whose verdict decides: any denial, then any violation."""
        return min(self.ends, key=lambda end: _WORST.index(end.verdict))

    @property
    def app(self) -> tuple[str | None, bool]:
        """Return the application, and whether it is a guess: one end may be certain where the other did not look."""
        known = (end for end in self.ends if end.app)
        best = min(known, key=_doubt, default=self.first)
        return best.app, bool(best.app_guessed)

    @property
    def shown(self) -> str:
        """Return the name that the flow shows, or its last request; "": none is known at either end."""
        return next((end.shown for end in self.ends if end.shown), "")

    @property
    def look(self) -> Look | None:
        """Return why the flow is not in the kernel; None: not because its application is looked for."""
        looks = {end.look for end in self.ends if isinstance(end, LiveRecord)}
        return next((one for one in _UNSETTLED if one in looks), None)

    @property
    def last(self) -> float:
        """Return when either end saw the flow last."""
        return max(end.last for end in self.ends)

    @property
    def looked_up(self) -> tuple[str, ...]:
        """Return the DNS names under which the initiator had looked the destination up."""
        return tuple(self.first.looked_up.split())

    @property
    def names(self) -> tuple[str | None, str | None]:
        """Return the names of initiator and answerer: one end may know a name where the other has an address."""
        sources = (end.source_name for end in self.ends if end.source_name)
        targets = (end.destination_name for end in self.ends if end.destination_name)
        return next(sources, None), next(targets, None)


@dataclass
class Joined:
    """Collects records and joins the two ends of a flow into one Flow. Order of arrival is kept."""

    flows: list[Flow] = field(default_factory=list)
    _open: dict[tuple[object, ...], list[Flow]] = field(default_factory=dict)

    def add(self, record: FlowRecord, *, live: bool = False) -> None:
        """Add a record. A live one that is known already (its flow ended meanwhile) changes nothing. Ended
        ones are each a flow of their own, for a tuple may be reused at once; but for those of a connection whose
        application is denied once it is open.
        """
        known = self._open.setdefault(record.both_see, [])
        if live and any(
            _same_record(end, record) for flow in known for end in flow.ends
        ):
            return
        for flow in known:
            for at, end in enumerate(flow.ends):
                if _is_denied_after_opening(end, record):
                    flow.ends[at] = _as_denied(end, record)
                    return
        for flow in known:
            if len(flow.ends) == 1 and _two_ends(flow.ends[0], record):
                flow.ends.append(record)
                flow.ends.sort(key=lambda end: end.direction != "egress")
                flow.live = flow.live or live
                return
        made = Flow([record], live)
        known.append(made)
        self.flows.append(made)

    def add_all(self, records: Iterable[FlowRecord], *, live: bool = False) -> None:
        """Add each of the records."""
        for record in records:
            self.add(record, live=live)


def _doubt(end: FlowRecord) -> tuple[bool, bool]:
    return end.app == UNKNOWN_NAME, bool(end.app_guessed)


def _at_once(one: FlowRecord, other: FlowRecord) -> bool:
    return (
        one.started <= other.last + _SAME_TIME_S
        and other.started <= one.last + _SAME_TIME_S
    )


def _two_ends(one: FlowRecord, other: FlowRecord) -> bool:
    ways = {one.direction, other.direction}
    return (
        ways == {"egress", "ingress"}
        and one.port_id != other.port_id
        and _at_once(one, other)
    )


def _is_denied_after_opening(one: FlowRecord, other: FlowRecord) -> bool:
    """Return whether one of the records is of a connection's handshake, and the other denies its application."""
    denial, opening = (one, other) if one.verdict == "deny" else (other, one)
    same_port = (one.port_id, one.direction) == (other.port_id, other.direction)
    return (
        same_port
        and denial.verdict == "deny"
        and denial.app is not None
        and opening.verdict != "deny"
        and opening.app == denial.app
        and opening.answer == Answer.OPEN
        and _at_once(one, other)
    )


def _as_denied(one: FlowRecord, other: FlowRecord) -> FlowRecord:
    denial, opening = (one, other) if one.verdict == "deny" else (other, one)
    return replace(denial.and_more(opening), flows=denial.flows)


def _same_record(one: FlowRecord, other: FlowRecord) -> bool:
    same_port = (one.port_id, one.direction) == (other.port_id, other.direction)
    return (
        same_port
        and abs(one.started - other.started) < 0.5
        and "deny"
        not in (
            one.verdict,
            other.verdict,
        )
    )

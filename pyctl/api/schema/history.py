"""What the API tells of flows. In: values of the agent. Out: typed models. I/O: none."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from pyctl.api.schema.base import Response
from pyctl.api.schema.workloads import Event
from pyctl.model.apps import NUMBERS, UNKNOWN_NAME, spelled
from pyctl.model.flow import Look
from pyctl.model.records import Verdict

Way = Literal["egress", "ingress"]


def app_named(text: str) -> str:
    """Return the application's name as flows have it; raise ValueError for one that has none."""
    name = UNKNOWN_NAME if text.lower() == UNKNOWN_NAME else spelled(text)
    if name is None:
        raise ValueError(f"{text} is no application; known are {', '.join(NUMBERS)}")
    return name


App = Annotated[str, AfterValidator(app_named)]


class Judgement(Response):
    """What the port at one end decided on a flow."""

    workload: str | None
    direction: Way | None
    verdict: Verdict
    rule_id: int | None
    """None: no rule matched."""
    reason: str | None
    """As in abi.REASONS; None: allowed."""
    packets: int
    """Packets of both directions; of a denied flow, those that arrived."""
    bytes: int


class Flow(Response):
    """A flow, from its initiator's side. Between two attached workloads it is judged at both ends."""

    started: float
    """Seconds since the epoch."""
    last: float
    live: bool
    """The flow has not ended."""
    direction: Literal["egress", "ingress", "both"] | None
    """As the judging workload sees it; both: two attached workloads talk with each other."""
    protocol: str
    source: str
    source_name: str | None
    """The attached workload that had the address."""
    source_port: int | None
    """ICMP: type << 8 | code. None: many flows in one line."""
    destination: str
    destination_name: str | None
    looked_up: list[str]
    """The DNS names under which the initiator had looked the destination up; none is known where no rule is to names."""
    destination_port: int | None
    """ICMP: the identifier."""
    packets: int
    """From the initiator."""
    bytes: int
    """Frames with their Ethernet headers, segmentation offloads as one frame."""
    packets_back: int
    bytes_back: int
    kernel_packets: int
    """Packets of both directions that the kernel carried; the engine carried the others."""
    kernel_bytes: int
    app: str | None
    """The application, `unknown` for one without a name here. None: no rule asked for it, or it is not known yet."""
    app_guessed: bool
    """One side's bytes look like `app`; it is not certain."""
    shown: str
    """The name in its handshake (SNI), or its last request, METHOD HOST/PATH, in 135 characters; "": none is known."""
    look: Look | None
    """Why a live flow is not in the kernel. pending: its application is not known yet, and its payload is held until then
    where the mode enforces. decided: it is known, and bytes that were looked at are not acknowledged yet.
    requests: a rule asks for requests, and each is judged. sensors: they look at all that is sent. None: for no such
    reason."""
    verdict: Verdict
    """The worse one of both ends; violation: it passed because mode or rule only record."""
    rule_id: int | None
    """The rule of the end that gave `verdict`; `reason` is that end's, too."""
    reason: str | None
    flows: int
    """How many are folded into this line; more than 1 in a flood only."""
    judged: list[Judgement]
    """The judgements of one end or both, the initiator's first."""


class FlowList(Response):
    """A page of flows, oldest first."""

    flows: list[Flow]
    position: int
    """Give it as `after` to see what ended since."""
    recording: bool
    """False: only live flows are known; `status` says why."""
    complete: bool = True
    """False: there are more than were looked at."""


class EventPage(Response):
    """A page of events, oldest first."""

    events: list[Event]
    position: int
    """Give it as `after` to see what came since."""
    lost: int = 0
    """Events that could not be kept since the agent started."""

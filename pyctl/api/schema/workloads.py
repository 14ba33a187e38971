"""What the agent's HTTP/JSON API takes and gives.

In: JSON from the unix socket Instance.api_socket. Out: the same as typed models; OpenAPI is made
from them. I/O: none.
Routes (prefix /v1), request → response, `*` for a query parameter:

POST /attach                AttachRequest → AttachResponse
POST /detach                DetachRequest → DetachResponse
GET  /workloads             WorkloadList
GET  /containers            ContainerList        *host (schema_containers)
GET  /workloads/{ref}       WorkloadDetail       ref: id, name, pid or container
PUT  /workloads/{ref}/mode  ModeRequest → ModeResponse
GET  /workloads/{ref}/rules RulesResponse        as the kernel holds them
GET  /workloads/{ref}/names NameList             DNS names that it looked up (findings)
GET  /policy                PolicyText
PUT  /policy                PolicyApplyRequest → PolicyApplyResponse
GET  /policy/revisions      RevisionList, /{number}: RevisionText (schema_revision)
POST /policy/test           PolicyQuestion → PolicyAnswer (schema_question)
GET  /policy/learned        Learned (schema_learning) *since *group *cidr_prefix *apps
POST /policy/simulate       SimulateRequest → Simulated (schema_learning)
GET  /flows                 FlowList             *limit *workload *verdict *since *after *app
GET  /events                EventPage            *limit *workload *kind *since *after
GET  /status                Status
PUT  /log-level             LogLevelRequest → LogLevelResponse
POST /stop                  StopRequest → StopResponse

FlowList and EventPage are in schema_history. A failure is an ErrorResponse with the HTTP status of
HTTP_STATUS. The CLI does not import this module (pydantic is slow to load): api.client speaks plain
dicts of the same shape.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pyctl.api.schema.base import Request, Response
from pyctl.api.schema.identity import Address, ClaimView, SharedAddress
from pyctl.api.schema.impact import OpenFlows
from pyctl.errors import SegctlError
from pyctl.model.records import EventKind
from pyctl.model.threats import Severity
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    FollowAddresses,
    Mode,
    ModeSource,
    Offload,
    OtherTraffic,
    Service,
)

PREFIX = "/v1"

HTTP_STATUS = {
    "usage": 400,
    "not-permitted": 403,
    "not-found": 404,
    "refused": 409,
    "failed": 500,
    "not-capable": 501,
    "unreachable": 503,
}
"""SegctlError.code → HTTP status."""


class DatapathChoice(StrEnum):
    """The datapath that the user chooses. AUTO: the one that this version prefers."""

    AUTO = "auto"
    EBPF = "ebpf"
    U32 = "u32"


class ErrorBody(Response):
    """A SegctlError; `code` names its class (errors.BY_CODE)."""

    code: str
    tried: str
    state: str = ""
    advice: str = ""

    @classmethod
    def of(cls, error: SegctlError) -> Self:
        """Return the error as JSON carries it."""
        return cls(
            code=error.code, tried=error.tried, state=error.state, advice=error.advice
        )


class ErrorResponse(Response):
    """The body of every answer with a status of 400 or more."""

    error: ErrorBody


class AttachRequest(Request):
    """A request to splice one container or process; exactly one of `pid` and `container` is given."""

    pid: Annotated[int, Field(gt=0)] | None = None
    container: str | None = None
    """Name or id (a unique head of it)."""
    interfaces: list[str] = Field(default=[])
    """Empty: every interface that has an address, or gets one later."""
    name: (
        Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")] | None
    ) = None
    """As containers may be called. None: the container's name, or `pid-N`."""
    labels: dict[str, str | None] = Field(default={})
    """Labels added to its own, which are the container's at first; null removes one."""
    datapath: DatapathChoice = DatapathChoice.AUTO
    mode: Literal[Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT] | None = None
    """None: discover."""
    fail: Fail | None = None
    """None: auto. Here and below, what is not sent stays as it is where the workload is attached
    already."""
    other_traffic: OtherTraffic = OtherTraffic.AUTO
    any_source: bool = False
    """The workload forwards for others: its source addresses are not checked."""
    serves: list[Service] = Field(default=[])
    """Services that it may provide on its link: router advertisements, a DHCP server's answers."""
    addresses: tuple[Address, ...] = ()
    """Addresses of the workload besides those found; with or without a prefix length."""
    follow: FollowAddresses = FollowAddresses.NO
    """Which addresses that it assigns itself later it may use."""
    offload: Offload = Offload.ON
    """OFF: no segmentation or checksum offloads, as NeuVector does it; for comparison."""
    container_host: str | None = None
    """URL of the container daemon; None: the usual sockets are tried."""
    force: bool = False
    """Lose what hangs on an interface and cannot be kept (a filter, an XDP program, a macvlan), instead of
    refusing it."""
    once: bool = False
    """A container is not attached again when it starts anew, or another is made under its name."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.pid is None) == (self.container is None):
            raise ValueError("give exactly one of pid and container")
        return self


class DetachRequest(Request):
    """A request to undo the splice; exactly one of the four fields says whose."""

    pid: Annotated[int, Field(gt=0)] | None = None
    container: str | None = None
    workload: str | None = None
    """Id or name, as `list` shows it."""
    all: bool = False
    container_host: str | None = None
    dry_run: bool = False
    force: bool = False
    """Lose what came onto an interface meanwhile (a macvlan, an XDP program, a filter), instead of refusing it;
    `all` does so anyway."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [self.pid is not None, self.container is not None]
        given += [self.workload is not None, self.all]
        if sum(given) != 1:
            raise ValueError("give exactly one of pid, container, workload and all")
        return self


class CounterRow(Response):
    """One reason's count for one port, kernel and engine together."""

    reason: str
    """As in abi.REASONS."""
    category: Literal["steer", "pass", "drop"]
    caption: str = ""
    packets: int
    bytes: int
    passed: int = 0
    """Packets that passed because the mode only records."""


class PortView(Response):
    """A port: one spliced interface of a workload."""

    port_id: int
    interface: str
    kind: str
    vex: str
    vin: str
    vex_ifindex: int
    vin_ifindex: int
    mac: str
    ucmac: str
    host_mac: str | None
    mtu: int
    addresses: list[str]
    """The interface's addresses when it was attached, `a.b.c.d/len` and `x::y/len`."""
    xdp: bool = False
    """The workload has an XDP program on it."""


class PortDetail(PortView):
    """What `show` adds to a port."""

    generation: int
    """The generation of the policy that the port follows."""
    rules: int
    """Compiled policy rules of the port."""
    counters: list[CounterRow]
    """Reasons never met are absent."""


class WorkloadState(StrEnum):
    """The state of a workload. EMPTY: its namespace has no process, but lives on, and is kept in protect or
    quarantine. LOST: a container that does not run or is not attached yet; it is attached when it starts.
    """

    ATTACHED = "attached"
    EMPTY = "empty"
    LOST = "lost"


class Uninspected(Response):
    """An interface that leads out of the workload and is not spliced."""

    interface: str
    reason: str


class _WorkloadHead(Response):
    id: str
    name: str
    state: WorkloadState
    pid: int | None
    """None: it is lost."""
    runtime: str
    image: str | None
    labels: dict[str, str]
    uninspected: list[Uninspected]
    datapath: DatapathKind
    mode: Mode
    """The effective one."""
    mode_source: ModeSource
    fail: Fail
    other_traffic: OtherTraffic
    any_source: bool
    serves: list[Service]
    offload: Offload
    addresses: list[str]
    """All that it was given, on whatever interface."""
    follow: FollowAddresses
    shared: list[SharedAddress]
    claims: list[ClaimView]
    """Addresses that the workload assigned itself."""


class WorkloadView(_WorkloadHead):
    """An attached workload, as in the list."""

    ports: list[PortView]


class WorkloadList(Response):
    """The workloads, sorted by name, then id."""

    workloads: list[WorkloadView]


class Event(Response):
    """An event: a denial, a change of state, drops in the kernel."""

    time: float
    """Seconds since the epoch."""
    kind: EventKind
    """violation: monitor would have denied it. staged: what a staged rule would have said."""
    message: str
    workload: str | None = None
    """Its name."""
    port_id: int | None = None
    direction: Literal["egress", "ingress"] | None = None
    protocol: str | None = None
    """`tcp`, `udp`, `icmp`, `icmp6`, or the number."""
    source: str | None = None
    """`address` or `address:port` (IPv6: `[address]:port`)."""
    destination: str | None = None
    reason: str | None = None
    """As in abi.REASONS; of a threat, its name; of a sensor, its name, a slash, and its pattern's."""
    severity: Severity | None = None
    """Of a threat, or a sensor's pattern."""
    rule_id: int | None = None
    """None: no rule matched."""
    packets: int | None = None
    bytes: int | None = None


class Applications(Response):
    """Live sessions by application; of a port with more than 10,000, of so many."""

    sessions: dict[str, int]
    """By name; a guess has a question mark behind it. Those whose application is not known are not among them."""
    pending: int
    """Sessions whose application is not known yet; where the mode enforces, their payload is held until then."""
    decided: int
    """Sessions whose application is known, and that are not in the kernel yet: bytes that were looked at are not
    acknowledged."""
    requests: int
    """Sessions that stay with the engine, because a rule asks for requests: each is judged."""
    sensors: int = 0
    """Sessions that stay with the engine, because sensors look at all that is sent."""


class FlowMap(Response):
    """Verdicts in the kernel: how many there are now, and what became of others since the start."""

    entries: int
    capacity: int
    evicted: int
    """Removed while the flow went on: because of a new verdict, a new policy or a timeout."""
    refused: int
    """Not stored for lack of room: the flow stayed with the engine, which tried again."""
    offload_misses: int
    """Packets of allowed flows that reached the engine although the kernel had the verdict."""
    offload_missed_bytes: int


class WorkloadDetail(_WorkloadHead):
    """An attached workload with all that is known of it."""

    attach_mode: Mode
    forced_mode: Mode | None
    policy_mode: Mode | None
    groups: list[str]
    """The policy's groups that it belongs to."""
    ports: list[PortDetail]
    sessions: int
    """The number of live sessions in the engine."""
    applications: Applications
    flow_map: FlowMap | None = None
    """Of all its ports, whose room is the node's. None: no engine answers."""
    denials: list[Event]
    """The most recent, oldest first."""


class AttachResponse(Response):
    """The result of an attach; `plan` is what was done, or with dry_run would be."""

    workload: WorkloadView | None
    """None: dry_run."""
    plan: list[str]
    warnings: list[str]
    already: bool = False
    """It was attached before; nothing but its options may have changed."""
    elapsed_ms: float


class DetachResponse(Response):
    """The result of a detach; `plan` is what was done, or with dry_run would be."""

    workloads: list[str]
    """Names of those detached; empty where nothing was attached."""
    plan: list[str]
    warnings: list[str]
    elapsed_ms: float


class ModeRequest(Request):
    """The mode to force; `auto` gives the choice back to the policy and to attach."""

    mode: Mode | Literal["auto"]
    dry_run: bool = False


class ModeResponse(Response):
    """The effective mode before and after."""

    workload: str
    before: Mode
    after: Mode
    source: ModeSource
    """The source of the mode `after`."""
    plan: list[str]
    warnings: list[str]


class PortRules(Response):
    """A pair's rules in the kernel, in the driver's words."""

    port_id: int
    interface: str
    rules: list[str]


class RulesResponse(Response):
    """The kernel's rules, one entry for each port of the workload."""

    workload: str
    datapath: DatapathKind
    ports: list[PortRules]


class PolicyText(Response):
    """The policy as it was applied, comments included; empty text: there was none."""

    text: str
    applied_at: float | None
    """Seconds since the epoch."""
    groups: int
    rules: int


class PolicyApplyRequest(Request):
    """The whole new policy; it replaces the old one at once."""

    text: str
    dry_run: bool = False
    author: Annotated[str, Field(max_length=100)] = ""
    comment: Annotated[str, Field(max_length=1000)] = ""
    """`author` and `comment` are for the log of revisions."""


class PolicyApplyResponse(Response):
    """What changes (or with dry_run would change), one sentence each."""

    changes: list[str]
    warnings: list[str]
    groups: int
    rules: int
    ports: int
    """Ports whose compiled policy differs from before."""
    open_flows: OpenFlows
    elapsed_ms: float

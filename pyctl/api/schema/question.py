"""What the API tells of a policy that is asked. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from pyctl.api.schema.base import Request, Response
from pyctl.api.schema.identity import SharedAddress
from pyctl.model.policy import Direction
from pyctl.model.truth import RuleResult
from pyctl.model.workload import Mode


class PolicyQuestion(Request):
    """The question whether `source` may open a connection to `target`."""

    source: str
    """A workload's name, or an address."""
    target: str
    port: str
    """tcp/80, udp/53, sctp/3868, icmp."""
    app: str | None = None
    """The connection's application, or `unknown`; None: not given."""
    sni: str | None = None
    """The name that it sends as a client of TLS; "": none. None: not given."""
    alpn: list[str] | None = None
    """The protocols that it offers."""
    tls_version: str | None = None
    """The version of TLS that the server chooses: 1.2."""
    names: tuple[str, ...] = ()
    """DNS names under which the source looked the target up; one of a chain is enough."""
    method: str | None = None
    """Of a request of HTTP."""
    host: str | None = None
    """The host that the request names."""
    path: str | None = None
    """As the client sends it; a query does not matter."""
    text: str | None = None
    """A policy that is not in force; None: the one that is."""


class AskedRule(Response):
    """A rule, and why it does not match."""

    id: int
    text: str
    why_not: str | None
    """None: it decides."""


class AskedEnd(Response):
    """One attached end's rules and judgement on the connection."""

    direction: Direction
    workload: str
    mode: Mode
    says: RuleResult
    rules: list[AskedRule]
    """In order, up to the rule that decides; all rules where none does."""
    passes: bool
    verdict: str | None
    reason: str | None
    """As in abi.REASONS; None: allowed."""
    reached: bool
    """False: the initiator's end lets nothing come here."""
    rejects: bool
    """The connection is dropped with an answer: RST, or an ICMP error."""
    staged: int | None
    """The rule that would decide if it were not staged."""
    needs_app: bool
    """The rule is for applications, and none is given: the end is judged as if the connection's were one of them."""
    needs_tls: bool
    """The rule asks for what TLS shows, and that is not given: the end is judged as if it were as the rule asks."""
    needs_http: bool
    """So does a rule for requests of HTTP."""


class AnswerByApp(Response):
    """What becomes of the connection if its application is one of these."""

    apps: list[str]
    """Names; `unknown`; `any other`: those that no rule names."""
    opens: bool | None
    """None: it depends on what else the connection shows."""
    rules: list[int | None]
    """The rule that decides at each end that is reached; None: no rule."""
    reasons: list[str | None]
    """What each of these ends records; None: it allows."""


class PolicyAnswer(Response):
    """What becomes of a new connection."""

    source: str
    target: str
    """The addresses by which the ends were judged."""
    opens: bool | None
    """None: it depends on the application, or on what TLS shows, which is not given."""
    shared: list[SharedAddress]
    """Those of them that several workloads have: each must be allowed."""
    ends: list[AskedEnd]
    """The initiator's first; none where neither is attached."""
    by_app: list[AnswerByApp]
    """Where a rule asks for the application and none is given: what each would give."""

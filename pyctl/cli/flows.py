"""segctl flows.

In: which ones. Out: flows with their verdicts, oldest first. I/O: the agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pyctl.cli.shared import follow, options, render
from pyctl.cli.shared.once import Command
from pyctl.cli.shared.since import Since
from pyctl.model.apps import NUMBERS, UNKNOWN_NAME
from pyctl.model.flow import endpoint, shown_app
from pyctl.model.records import VERDICTS

COLUMNS = (
    *("last", "from", "to", "way", "proto", "app", "packets", "bytes", "back"),
    *("verdict", "rule", "reason", "by"),
)


@click.command(cls=Command)
@click.option("--workload", metavar="NAME", help="Of this workload, at either end.")
@click.option(
    "--verdict",
    type=click.Choice(VERDICTS),
    help="violation: it passed because mode or rule only record.",
)
@click.option(
    "--app",
    type=click.Choice([*NUMBERS, UNKNOWN_NAME], case_sensitive=False),
    metavar="NAME",
    help="Of this application: Redis, TLS, …, unknown.",
)
@click.option("--since", type=Since(), help="Seen since: 10m, 2h, 14:30, …")
@options.limit(50)
@click.option(
    "-f",
    "--follow",
    "following",
    is_flag=True,
    help="Then each flow as it ends or is denied, until ^C.",
)
@options.output
def flows(
    workload: str | None,
    verdict: str | None,
    app: str | None,
    since: float | None,
    limit: int,
    following: bool,
    as_json: bool,
) -> None:
    """Who talks with whom, how much, and why it may or may not.

    Flows that go on and flows that ended, denied ones among them. What two attached workloads say
    to each other is one flow, judged at both ends: VERDICT, RULE and REASON are those of the initiator's
    end / the other end, and --verdict asks for the worse one. BYTES and PACKETS count frames from the initiator, BACK the bytes towards it; BY tells how
    much of it the kernel carried by itself.

    TO is a workload's name; else the DNS name under which the initiator had looked the address up, where a rule is to
    names (`segctl names`); else the address, which JSON always has.

    APP is the application, where a rule asks for it: a name with a question mark is a guess, `unknown` is none that
    has a name here. Behind it stands what the flow shows of whom it is for, where a rule asks for names or requests: the
    name in the handshake of TLS or QUIC, or the last request of HTTP/1 (method, host and path; no query). BY says why a flow that goes on is not in the kernel: `pending`, its application is
    not known yet, and where the mode enforces its payload is held until then; `decided`, it is known, and bytes that
    were looked at are not acknowledged yet; `requests`, a rule asks for requests, and each is judged; `sensors`, sensors
    look at all that is sent.

    A silent flow ends after 30 s, once both sides have spoken after 120 s (UDP), 180 s (other protocols) or 20
    minutes (TCP, SCTP). Of 262,144 open flows a port may have eight times what is free, one peer in it as
    many as are then free in the port (an IPv6 /64: twice); beyond that the oldest unanswered one goes, then new
    ones are dropped (session_memory). Fragments wait 10 s for their datagram, 256 of one, of a port 2 MiB or
    what is free of 8, of a peer what is free of its port's; others are dropped (fragment_memory).

    Kept on disk: 256 MiB or 7 days (`history:` in the agent's configuration). Of a flood 2,000 flows a second
    (200 denied) are kept one by one, shared out fairly among workloads; the rest is sums. Whoever has most loses
    the oldest first. A clock that leaps ahead makes nothing older for an hour. Flows of a workload that goes are
    written for a minute at most.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    asked: dict[str, Any] = {
        "workload": workload,
        "verdict": verdict,
        "app": app,
        "since": since,
        "limit": limit,
    }
    answer = client.flows(**asked)
    if following:
        follow.follow(
            answer,
            "flows",
            lambda after: client.flows(**{**asked, "after": after, "limit": 10000}),
            None if as_json else (COLUMNS, row),
        )
        return
    if as_json:
        render.as_json(answer)
        return
    render.table(COLUMNS, [row(flow) for flow in answer["flows"]])
    render.incomplete(answer)


def row(flow: Mapping[str, Any]) -> list[object]:
    """Return the cells of a flow's row, in the order of the columns."""
    times = f"{flow['protocol']} x{flow['flows']}"
    return [
        "now" if flow["live"] else render.clock(flow["last"]),
        _end(flow, "source"),
        _end(flow, "destination", *flow["looked_up"][:1]),
        flow["direction"],
        times if flow["flows"] > 1 else flow["protocol"],
        app_of(flow),
        flow["packets"] + flow["packets_back"],
        flow["bytes"],
        flow["bytes_back"],
        *judged(flow),
        carrier(flow),
    ]


def app_of(flow: Mapping[str, Any]) -> str | None:
    """Return the application, and the name that the flow shows, or its last request."""
    app = shown_app(flow["app"], guessed=flow["app_guessed"])
    return f"{app} {flow['shown']}" if app and flow["shown"] else app


def judged(flow: Mapping[str, Any]) -> list[object]:
    """Return verdict, rule and reason; of both ends where the flow was judged twice."""
    ends = flow["judged"]
    if len(ends) < 2:
        return [flow["verdict"], flow["rule_id"], flow["reason"]]
    shown: list[object] = ["/".join(end["verdict"] for end in ends)]
    for name in ("rule_id", "reason"):
        known = [end[name] for end in ends]
        told = "/".join("-" if one is None else str(one) for one in known)
        shown.append(told if any(one is not None for one in known) else None)
    return shown


def carrier(flow: Mapping[str, Any]) -> str:
    """Return who carried the flow: `engine`, `kernel`, or the kernel's share of the bytes; why it is not in the
    kernel, where that is because of its application.
    """
    told = _carrier(flow)
    return f"{told}, {flow['look']}" if flow["look"] else told


def _carrier(flow: Mapping[str, Any]) -> str:
    total = flow["bytes"] + flow["bytes_back"]
    if flow["verdict"] == "deny" or not total:
        return "-"
    share = 100 * flow["kernel_bytes"] / total
    if not flow["kernel_bytes"]:
        return "engine"
    return f"kernel {min(share, 99.9):.1f}%" if share < 100 else "kernel"


def _end(flow: Mapping[str, Any], end: str, *looked_up: str) -> str:
    """Return the end by its workload's name, else by the name under which it was looked up, else its address."""
    shown = next(iter(looked_up), flow[end])
    shown = str(flow[f"{end}_name"] or shown)
    return endpoint(shown, flow["protocol"], flow[f"{end}_port"])

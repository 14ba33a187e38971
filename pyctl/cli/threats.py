"""segctl threats, segctl sensors.

In: a workload, or none. Out: the threats, or sensors, and what is done at each. I/O: the agent, for a workload.
"""

from __future__ import annotations

from typing import Any

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.model.threats import THREATS

_COSTS = {
    "": None,
    "connections": "each new TCP connection",
    "pings": "ICMP",
    "lookups": "DNS",
    "payload": "the first bytes of each TCP connection",
}


@click.command(cls=Command)
@click.argument("workload", required=False)
@options.output
def threats(workload: str | None, as_json: bool) -> None:
    """The threats that are looked for: what each is told by, and what is done.

    The settings are the policy's (`threats:`, by group): off, alert, drop, or reset, which drops and answers. In
    discover and monitor a threat is only told. Each is one event in 30 seconds for each peer, with a count: `segctl
    events --kind threat`. COSTS: what the engine carries in the kernel's place while it is not off.
    """
    rows: list[dict[str, Any]] = [vars(one) for one in THREATS]
    answer: dict[str, Any] = {"threats": rows}
    if workload is not None:
        from pyctl.api.client import AgentClient

        answer = AgentClient(options.instance()).threats(workload)
        rows = answer["threats"]
    if as_json:
        render.as_json(answer)
        return
    own = [] if workload is None else ["setting"]
    render.table(
        ["threat", "severity", "default", *own, "costs", "told by"],
        (
            [
                *(one["name"], one["severity"], one["default"]),
                *(one[key] for key in own),
                *(_COSTS[one["cost"]], one["trigger"]),
            ]
            for one in rows
        ),
    )
    if workload is not None and not answer["enforced"]:
        render.warnings(["drop and reset hold in protect alone: here each is told"])


@click.command(cls=Command)
@click.argument("workload", required=False)
@options.output
def sensors(workload: str | None, as_json: bool) -> None:
    """The sensors of the policy: patterns that are looked for in payload, and what is done where one matches.

    Without WORKLOAD the sets of patterns that come with segctl, which a sensor takes by `use:`. The settings are the
    policy's (`sensors:`): off, alert, drop, or reset, which drops and answers. In discover and monitor a hit is only
    told. Each pattern is one event in 30 seconds for each peer, with a count: `segctl events --kind sensor`. All
    connections of a workload with a sensor stay with the engine, and none is carried by the kernel.

    Bodies of HTTP/1 that are compressed (gzip, deflate, br) are decoded first, 64 MiB of each at most. One that grows
    without bounds, or is broken, ends its connection where hits in bodies do (@body/bomb, @body/broken). One that cannot
    be decoded is told (@body/unknown_coding, @body/no_room, @body/long), and looked at as it is.
    """
    if workload is None:
        _shipped(as_json)
        return
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).sensors(workload)
    if as_json:
        render.as_json(answer)
        return
    render.table(
        ["sensor", "setting", "pattern", "part", "severity", "confirm", "regex"],
        (
            [
                *(one["name"], one["setting"], each["id"], each["part"]),
                *(each["severity"], each["confirm"], each["regex"]),
            ]
            for one in answer["sensors"]
            for each in one["patterns"]
        ),
    )
    if not answer["enforced"]:
        render.warnings(["drop and reset hold in protect alone: here each is told"])


def _shipped(as_json: bool) -> None:
    from pyctl.model.sensors.shipped import SHIPPED

    rows = [(name, one) for name, each in sorted(SHIPPED.items()) for one in each]
    if as_json:
        render.as_json({"sets": [{"set": name, **vars(one)} for name, one in rows]})
        return
    render.table(
        ["set", "pattern", "part", "severity", "confirm", "regex"],
        (
            [name, one.id, one.part, one.severity, one.confirm, one.regex]
            for name, one in rows
        ),
    )

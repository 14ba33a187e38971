"""segctl events.

In: which ones. Out: what happened, oldest first. I/O: the agent.
"""

from __future__ import annotations

from typing import Any

import click

from pyctl.cli.shared import follow, options, render
from pyctl.cli.shared.once import Command
from pyctl.cli.shared.since import Since
from pyctl.model.records import EVENT_KINDS


@click.command(cls=Command)
@click.option("--workload", metavar="NAME", help="Of this workload.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(EVENT_KINDS),
    multiple=True,
    help="Of this kind; may be given several times.",
)
@click.option("--since", type=Since(), help="Since: 10m, 2h, 14:30, …")
@options.limit(50)
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Then each as it comes, until ^C."
)
@options.output
def events(
    workload: str | None,
    kinds: tuple[str, ...],
    since: float | None,
    limit: int,
    following: bool,
    as_json: bool,
) -> None:
    """Denials, threats, hits of sensors, changes of state, drops in the kernel.

    A denial names the application of its flow where that is known, with a question mark for a guess.
    Repeats within ten seconds are one line, whose packets are counted; of kernel-drop, which is told once a second for
    each port, reason and CPU, `segctl show WORKLOAD` has the exact counts, by reason. One line, too, is a
    crowd, as that of a scan, without what differs in it. Denials are recorded one by one up to 500 a second and
    port (4,096 at once), then by address without ports. The log has ten lines a minute for each workload and
    kind of event; agent.log and engine.log take 4 MiB each and as much again.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    asked: dict[str, Any] = {
        "workload": workload,
        "kind": kinds,
        "since": since,
        "limit": limit,
    }
    answer = client.events(**asked)
    if following:
        follow.follow(
            answer,
            "events",
            lambda after: client.events(**{**asked, "after": after, "limit": 10000}),
            None if as_json else (render.EVENT_COLUMNS, render.event),
        )
        return
    if as_json:
        render.as_json(answer)
        return
    render.events(answer["events"])
    if answer["lost"]:
        render.warnings([f"{answer['lost']} events came too fast to be kept"])

"""segctl events.

In: how many. Out: what happened, oldest first. I/O: the agent.
"""

from __future__ import annotations

import click

from pyctl.cli import options, render


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 10000),
    default=50,
    show_default=True,
    help="The last so many.",
)
@options.output
def events(limit: int, as_json: bool) -> None:
    """Denials, changes of state, drops in the kernel."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).events(limit)
    if as_json:
        render.as_json(answer)
        return
    render.events(answer["events"])
    if answer["lost"]:
        render.warnings([f"{answer['lost']} events came too fast to be kept"])

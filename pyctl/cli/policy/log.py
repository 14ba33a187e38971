"""segctl policy log, show, rollback.

In: a number. Out: what was applied, and what going back changes. I/O: the agent.
"""

from __future__ import annotations

from typing import Any

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.errors import NotFoundError


@click.command("log", cls=Command)
@options.output
def log(as_json: bool) -> None:
    """The policies that were applied, newest first. The last hundred are kept."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).policy_revisions()
    if as_json:
        render.as_json(answer)
        return
    render.table(
        ("REVISION", "TIME", "BY", "UID", "RULES", "GROUPS", "IN FORCE", "COMMENT"),
        [
            (
                one["number"],
                render.clock(one["time"]),
                one["author"] or None,
                one["uid"],
                one["rules"],
                one["groups"],
                "yes" if one["in_force"] else None,
                one["comment"] or None,
            )
            for one in reversed(answer["revisions"])
        ],
    )


@click.command("show", cls=Command)
@click.argument("revision", type=click.IntRange(min=1))
@options.output
def show(revision: int, as_json: bool) -> None:
    """The text of a former policy, as it was applied."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).policy_revision(revision)
    if as_json:
        render.as_json(answer)
    else:
        click.echo(answer["text"], nl=not answer["text"].endswith("\n"))


@click.command("rollback", cls=Command)
@click.argument("revision", type=click.IntRange(min=1), required=False)
@options.dry_run
@options.output
def rollback(revision: int | None, dry_run: bool, as_json: bool) -> None:
    """Apply a former policy again: by default the last that is another than the one in force.

    LOCK-OUT: it holds from the next packet on, for open connections too.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    if revision is None:
        revision = _former(client.policy_revisions()["revisions"])
    text = client.policy_revision(revision)["text"]
    answer = client.apply_policy(
        text,
        dry_run=dry_run,
        author=options.author(),
        comment=f"back to revision {revision}",
    )
    if not as_json:
        click.echo(f"revision {revision}:")
    render.applied(answer, dry_run=dry_run, json_too=as_json)


def _former(revisions: list[dict[str, Any]]) -> int:
    now = {one["sha256"] for one in revisions if one["in_force"]}
    for one in reversed(revisions):
        if one["sha256"] not in now:
            return int(one["number"])
    raise NotFoundError(
        "there is no former policy to go back to",
        state="nothing was changed",
        advice="`segctl policy log` lists what was applied",
    )

"""segctl policy apply, get; and the other commands of the group, each in its module.

In: a policy's text. Out: what changes. I/O: the agent, a file or stdin.
"""

from __future__ import annotations

from typing import TextIO

import click

from pyctl.cli.policy.hits import hits
from pyctl.cli.policy.import_ import import_policy
from pyctl.cli.policy.learned import learned
from pyctl.cli.policy.log import log, rollback, show
from pyctl.cli.policy.schema import schema
from pyctl.cli.policy.simulate import simulate
from pyctl.cli.policy.test import test_policy
from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Group


@click.group(cls=Group)
def policy() -> None:
    """Who may talk to whom."""


@policy.command("apply")
@options.policy_file
@click.option("-m", "--comment", default="", help="Why; `policy log` shows it.")
@options.dry_run
@options.output
def apply_policy(file: TextIO, comment: str, dry_run: bool, as_json: bool) -> None:
    """Put a policy in the place of the one in force, at once.

    LOCK-OUT: it holds from the next packet on, for open connections too. Look at --dry-run first
    if your own session goes through a workload in protect.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    answer = client.apply_policy(
        options.text_of(file),
        dry_run=dry_run,
        author=options.author(),
        comment=comment,
    )
    render.applied(answer, dry_run=dry_run, json_too=as_json)


@policy.command("get")
@options.output
def get_policy(as_json: bool) -> None:
    """The policy in force, as it was written."""
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).policy()
    if as_json:
        render.as_json(answer)
    else:
        click.echo(answer["text"], nl=not answer["text"].endswith("\n"))


for command in (
    import_policy,
    learned,
    simulate,
    test_policy,
    hits,
    schema,
    log,
    show,
    rollback,
):
    policy.add_command(command)

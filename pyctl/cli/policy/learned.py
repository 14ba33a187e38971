"""segctl policy learned.

In: which flows. Out: a policy on stdout, what it leaves out on stderr. I/O: the agent.
"""

from __future__ import annotations

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.cli.shared.since import Since


@click.command("learned", cls=Command)
@click.option("--since", type=Since(), help="From flows seen since: 10m, 2h, 14:30, …")
@click.option("--group", metavar="NAME", help="Only rules with this group at an end.")
@click.option(
    "--cidr-prefix",
    type=click.IntRange(1, 32),
    help="Take addresses as networks of this length (IPv6: /64).",
)
@click.option(
    "--apps",
    is_flag=True,
    help="Rules name their flows' applications, where each flow's is certain.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to print the policy.",
)
def learned(
    since: float | None,
    group: str | None,
    cidr_prefix: int | None,
    apps: bool,
    output: str,
) -> None:
    """The policy in force, and rules for what it does not decide but was seen.

    Learned is what was answered: a TCP connection that was made, a datagram that was replied to.
    Workloads become groups, copies of one thing one group. Review it, then
    `segctl policy apply -f`. What was left out is told on stderr. With --apps a rule is for the applications
    of its flows, where each flow has one that is certain.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance(), timeout=120)
    answer = client.policy_learned(
        since=since, group=group, cidr_prefix=cidr_prefix, apps=apps or None
    )
    for one in answer["left_out"]:
        flows = render.count(one["flows"], "flow")
        examples = ", ".join(one["examples"])
        click.echo(
            render.safe(f"not learned: {flows}, {one['meaning']} ({examples})"),
            err=True,
        )
    render.incomplete(answer)
    if output == "json":
        render.as_json(answer["document"])
    else:
        click.echo(answer["text"], nl=False)

"""segctl policy simulate.

In: a policy. Out: what it would do to recorded flows. I/O: the agent, a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command
from pyctl.cli.shared.since import Since

CHANGES = {
    "denied": "newly denied",
    "allowed": "newly allowed",
    "uncertain": "uncertain",
    "unchanged": "unchanged",
}
_COLUMNS = ("change", "from", "to", "port", "flows", "last", "before", "after", "why")


@click.command("simulate", cls=Command)
@options.policy_file
@click.option("--since", type=Since(), help="Flows seen since: 10m, 2h, 14:30, …")
@click.option(
    "--mode",
    type=click.Choice(["discover", "monitor", "protect"]),
    help="As if every workload were in it with this policy.",
)
@click.option(
    "--examples",
    type=click.IntRange(0, 10000),
    default=5,
    show_default=True,
    help="Of each change, those with the most flows.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["denied", "allowed", "uncertain", "staged"]),
    multiple=True,
    help="Exit code 1 where there is any; may be repeated.",
)
@options.output
@click.pass_context
def simulate(
    ctx: click.Context,
    file: TextIO,
    since: float | None,
    mode: str | None,
    examples: int,
    fail_on: tuple[str, ...],
    as_json: bool,
) -> None:
    """What a policy would do to the recorded flows, against the one in force; nothing is applied.

    Flows are judged with the workloads, groups and modes of now. Uncertain is what cannot be known,
    as of a workload that has gone. `--mode protect` shows what protect would deny. Staged is what
    passes, and what a staged rule of this policy would deny if it were enforced.
    """
    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance(), timeout=120)
    answer = client.simulate_policy(
        options.text_of(file), since=since, mode=mode, examples=examples
    )
    render.warnings(answer["warnings"])
    render.incomplete(answer)
    if as_json:
        render.as_json(answer)
    else:
        _show(answer)
    counts = {**answer["flows"], "staged": answer["staged"]}
    if any(counts[one] for one in fail_on):
        ctx.exit(1)


def _show(answer: Mapping[str, Any]) -> None:
    render.facts(
        {
            CHANGES[name]: flows
            for name, flows in answer["flows"].items()
            if name in CHANGES
        }
    )
    if answer["monitored"]:
        flows = render.count(answer["monitored"], "flow")
        click.echo(f"{flows} would pass only because the mode records")
    if answer["staged"]:
        flows = render.count(answer["staged"], "flow")
        click.echo(f"{flows} would be denied by a rule that is staged")
    rows = [_row(CHANGES[one["change"]], one) for one in answer["examples"]]
    rows += [_row("staged", one) for one in answer["staged_examples"]]
    if rows:
        click.echo()
        render.table(_COLUMNS, rows)


def _row(change: str, case: Mapping[str, Any]) -> list[object]:
    return [
        change,
        case["source"],
        case["target"],
        case["service"],
        case["flows"],
        render.clock(case["last"]),
        _decision(case["before"]),
        _decision(case["after"]),
        case["why"],
    ]


def _decision(decision: Mapping[str, Any]) -> str:
    if decision["verdict"] is None:
        return "unknown"
    by = "no rule" if decision["rule_id"] is None else f"rule {decision['rule_id']}"
    if decision["staged_rule_id"] is not None:
        by += f"; staged rule {decision['staged_rule_id']} denies"
    return f"{decision['verdict']} ({by})"

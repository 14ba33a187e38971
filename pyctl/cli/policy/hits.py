"""segctl policy hits: how often each rule decided, and when last.

In: nothing. Out: a row for each rule. I/O: the agent.
"""

from __future__ import annotations

from typing import Any

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command

_COLUMNS = ("RULE", "ACTION", "FROM → TO", "PORTS", "HITS", "LAST USED", "SINCE")


@click.command("hits", cls=Command)
@click.option("--unused", is_flag=True, help="Only rules without a hit.")
@options.output
def hits(unused: bool, as_json: bool) -> None:
    """How often each rule decided, and when last.

    One hit is one flow judged at one end: traffic between two workloads that are attached both is
    judged, and counted, twice. Refused attempts of one flow within a minute are one hit. LAST USED is
    when a flow was judged by the rule, or was seen to go on. A staged rule's hits are flows that it would
    have decided. SINCE: counted from then on. A rule keeps its counts as long as its id, action, ends,
    ports and applications stay; the last line is what no rule matched.
    """
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).policy_hits()
    if unused:
        answer["rules"] = [one for one in answer["rules"] if not one["hits"]]
    if not answer["recording"]:
        render.warnings(
            [
                "nothing is recorded now: `segctl agent status` says why; counts are older"
            ]
        )
    if as_json:
        render.as_json(answer)
        return
    rows = [_row(one) for one in answer["rules"]]
    if not unused:
        rows.append(("-", "by mode", "no rule", "-", *_counts(answer["default"])))
    render.table(_COLUMNS, rows)


def _row(rule: dict[str, Any]) -> tuple[object, ...]:
    staged = "would " if rule["staged"] else ""
    off = "" if rule["enabled"] else " (disabled)"
    end = f" at {rule['direction']}" if rule["direction"] else ""
    apps = f" apps {', '.join(rule['apps'])}" if rule["apps"] else ""
    asks = f" {rule['asks']}" if rule["asks"] else ""
    return (
        rule["id"],
        f"{staged}{rule['action']}{off}",
        f"{rule['source']} → {rule['target']}{end}",
        ", ".join(rule["ports"]) + apps + asks,
        *_counts(rule),
    )


def _counts(found: dict[str, Any]) -> tuple[object, ...]:
    times = (found["last"], found["since"])
    return found["hits"], *(one and render.clock(one) for one in times)

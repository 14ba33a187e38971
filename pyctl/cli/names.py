"""segctl names.

In: a workload. Out: the names that it looked up, and what rests on each answer. I/O: the agent.
"""

from __future__ import annotations

import time
from typing import Any

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command

COLUMNS = ("name", "address", "groups", "by", "TTL left", "kept", "resolver")
_COUNTS = {
    "learnt": "{} learnt",
    "expired": "{} expired",
    "evicted": "{} made room for others",
    "no_question": "{} answers to no open question",
    "wrong_resolver": "{} answers of a resolver that no rule allows",
    "malformed": "{} unreadable",
    "truncated": "{} cut off",
}


@click.command(cls=Command)
@click.argument("workload")
@options.output
def names(workload: str, as_json: bool) -> None:
    """The DNS names that a workload looked up, and what rests on each answer.

    They are learnt where a rule is to a group of names (`fqdns`), from answers to the workload's own questions, and
    from resolvers that it may ask by the policy. An address is in the GROUPS that take one of the names of the
    chain of CNAMEs; BY is the first of these where it is not the name that was asked for. It stays in them for the
    answer's TTL and 120 s more, and as long as a flow to it goes on: KEPT says how long, or `in use`.

    The last line counts addresses and answers since the engine started. What is learnt survives a restart of engine
    and agent, and DNS needs neither agent nor name server of ours.
    """
    from pyctl.api.client import AgentClient

    answer = AgentClient(options.instance()).names(workload)
    if not answer["complete"]:
        render.warnings(["there are more names than are shown"])
    if as_json:
        render.as_json(answer)
        return
    now = time.time()
    render.table(COLUMNS, [_row(one, now) for one in answer["names"]])
    told = answer["counts"]
    click.echo(", ".join(text.format(told[key]) for key, text in _COUNTS.items()))


def _row(name: dict[str, Any], now: float) -> tuple[object, ...]:
    more = f" and {name['groups_more']} more" if name["groups_more"] else ""
    kept = max(0, round(name["expires"] - now))
    left = max(0, round(name["learnt"] + name["ttl"] - now))
    return (
        name["asked"],
        f"{name['address']} (hint)" if name["is_hint"] else name["address"],
        ", ".join(name["groups"]) + more or None,
        name["matched"] if name["matched"] != name["asked"] else None,
        f"{left} s",
        "in use" if name["in_use"] else f"{kept} s",
        name["resolver"],
    )

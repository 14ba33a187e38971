"""Answers on the screen: JSON alone, or tables for people.

In: plain values of the API. Out: lines on stdout. I/O: stdout.
A terminal gets a table with lines and bold heads (rich), a pipe gets plain columns; rich is loaded
only for the former. Names come from containers, so control characters never reach a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

EVENT_COLUMNS = ("time", "kind", "workload", "flow", "reason", "rule", "message")


def as_json(value: object) -> None:
    """Print the value as JSON, and nothing else."""
    click.echo(json.dumps(value, indent=2))


def safe(value: object) -> str:
    """Return printable text on one line; a dash for None."""
    text = "-" if value is None or value == "" else str(value)
    return "".join(char if char.isprintable() else "�" for char in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns with heads; only the heads where there are no rows."""
    cells = [[safe(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(columns, cells, overflow="fold"))
        return
    lines = [[column.upper() for column in columns], *cells]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def facts(pairs: Mapping[str, object]) -> None:
    """Print names and values, one pair a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{name.ljust(width)}  {safe(value)}")


def heading(text: str) -> None:
    """Print a heading above what follows."""
    click.echo()
    click.secho(text, bold=True)


def steps(lines: Iterable[str], *, would: bool) -> None:
    """Print a plan, numbered."""
    click.echo("What would be done:" if would else "What was done:")
    for number, line in enumerate(lines, 1):
        click.echo(f"{number:3}. {safe(line)}")


def warnings(lines: Iterable[str]) -> None:
    """Print warnings on stderr, so that stdout stays the answer."""
    for line in lines:
        click.echo(f"warning: {safe(line)}", err=True)


def incomplete(answer: Mapping[str, Any]) -> None:
    """Warn where an answer about flows is not made from all of them."""
    if not answer["recording"]:
        told = "flows are not recorded, only live ones are known"
        warnings([f"{told}: see `segctl agent status`"])
    if not answer["complete"]:
        told = "there are more flows than were looked at, or written so far"
        warnings([f"{told}: ask again, or for a shorter time with --since"])


def labels(found: Mapping[str, str]) -> str:
    """Return labels as `k=v,k=v`, sorted by key."""
    return ",".join(f"{key}={value}" for key, value in sorted(found.items()))


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 rule`, `2 rules`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def applied(answer: Mapping[str, Any], *, dry_run: bool, json_too: bool) -> None:
    """Print what a policy changes, or would change."""
    warnings(answer["warnings"])
    if json_too:
        as_json(answer)
        return
    would = "would change" if dry_run else "changed"
    for line in answer["changes"]:
        click.echo(f"  {safe(line)}")
    click.echo(
        f"{count(len(answer['changes']), 'thing')} {would}, at {count(answer['ports'], 'port')}; "
        f"{count(answer['rules'], 'rule')}, {count(answer['groups'], 'group')}"
    )
    open_flows(answer["open_flows"], dry_run=dry_run)


def open_flows(found: Mapping[str, Any], *, dry_run: bool) -> None:
    """Print how many open flows change their verdict, with the most frequent of them."""
    if not found["looked_at"]:
        return
    looked_at = count(found["looked_at"], "open flow")
    among = looked_at if found["complete"] else f"the {looked_at} looked at"
    will = "would be" if dry_run else "are"
    click.echo(
        f"of {among}, {found['newly_denied']} {will} denied that passed, "
        f"{found['newly_allowed']} {will} allowed that did not"
    )
    for one in found["examples"]:
        sign = "+" if one["opens"] else "-"
        by = "no rule" if one["rule_id"] is None else f"rule {one['rule_id']}"
        ends = f"{safe(one['source'])} → {safe(one['destination'])} {one['service']}"
        click.echo(f"  {sign} {ends}: {count(one['flows'], 'flow')}, {by}")


def flow_map(found: Mapping[str, int] | None) -> str | None:
    """Return a line on the verdicts in the kernel and what became of others; None without numbers."""
    if found is None:
        return None
    return (
        f"{found['entries']} of {found['capacity']}; evicted {found['evicted']}, "
        f"no room {found['refused']}, offload misses {found['offload_misses']}"
    )


def clock(seconds: float | None) -> str | None:
    """Return local date and time of seconds since the epoch; None for None."""
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def events(found: Iterable[Mapping[str, Any]]) -> None:
    """Print events as a table."""
    table(EVENT_COLUMNS, map(event, found))


def event(found: Mapping[str, Any]) -> list[object]:
    """Return the cells of an event's row, in the order of EVENT_COLUMNS."""
    return [
        clock(found["time"]),
        found["kind"],
        found["workload"],
        _flow(found),
        found["reason"],
        found["rule_id"],
        found["message"],
    ]


def _flow(event: Mapping[str, Any]) -> str | None:
    if event["source"] is None and event["destination"] is None:
        return None
    words = (event["direction"], event["protocol"], event["source"])
    head = " ".join(word for word in words if word)
    return f"{head} → {safe(event['destination'])}"


def rich_table(columns: Sequence[str], cells: list[list[str]], **how: Any) -> Any:
    """Return a table for a terminal; `how` is rich's, for every column."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, **how)
    for line in cells:
        shown.add_row(*(Text(cell) for cell in line))  # Text: no markup is read from it
    return shown

"""--follow: what is known, then what comes, until ^C.

In: an answer and how to ask for more. Out: lines, each written at once: JSON, or columns as wide as
those of the head. I/O: stdout, the clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from pyctl.cli.shared import render

PAUSE_S = 1.0
_WIDTHS = {"time": 19, "last": 19, "from": 28, "to": 28, "flow": 56, "kind": 11}
Row = Callable[[Mapping[str, Any]], Sequence[object]]


def follow(
    answer: Mapping[str, Any],
    name: str,
    more: Callable[[int], Mapping[str, Any]],
    shown: tuple[Sequence[str], Row] | None,
) -> None:
    """Print `answer[name]` and what `more(position)` gives; without `shown` as JSON lines."""
    if shown:
        click.echo(_line(shown[0], [column.upper() for column in shown[0]]))
    try:
        while True:
            _print(answer[name], shown)
            time.sleep(PAUSE_S)
            answer = more(answer["position"])
    except KeyboardInterrupt:
        return


def _print(
    found: Iterable[Mapping[str, Any]], shown: tuple[Sequence[str], Row] | None
) -> None:
    for one in found:
        click.echo(_line(shown[0], shown[1](one)) if shown else json.dumps(one))


def _line(columns: Sequence[str], cells: Sequence[object]) -> str:
    padded = (
        render.safe(cell).ljust(_WIDTHS.get(column, max(9, len(column))))
        for column, cell in zip(columns, cells, strict=True)
    )
    return "  ".join(padded).rstrip()

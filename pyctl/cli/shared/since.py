"""--since: how long ago, or when.

In: `90s`, `10m`, `2h`, `7d`, or a local date and time. Out: seconds since the epoch. I/O: the clock.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Since(click.ParamType[float]):
    """An option's type: a moment in the past, as seconds since the epoch."""

    name = "since"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the placeholder that the help shows."""
        del param, ctx
        return "AGO|TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the moment in epoch seconds; fail with a usage error for anything else."""
        if isinstance(value, float):
            return value
        if ago := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value):
            return time.time() - float(ago[1]) * _UNITS[ago[2]]
        try:
            if re.fullmatch(r"\d\d?:\d\d(:\d\d)?", value):
                value = f"{dt.date.today().isoformat()} {value:0>5}"  # noqa: DTZ011  local
            return dt.datetime.fromisoformat(value).timestamp()
        except ValueError:
            self.fail(
                f"{value!r} is neither how long ago (90s, 10m, 2h, 7d) nor a time "
                "(14:30, 2026-01-31 14:30)",
                param,
                ctx,
            )

"""segctl top.

In: how often. Out: a screen of the agent, its workloads and the busiest flows, drawn again and
again. I/O: the agent, the terminal (its keys, while it is one).
"""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from pyctl.cli.flows import COLUMNS, row
from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command

FLOWS = 15
FLOW_COLUMNS = ("from", "to", "proto", "app", "verdict", "rule", "by")
_LOOKED_AT = 2000
_UNITS = ("", "k", "M", "G", "T")
Frame = Mapping[str, Any]


@click.command(cls=Command)
@click.option(
    "--every",
    type=click.FloatRange(0.2, 60),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often it is drawn.",
)
@click.option("--once", is_flag=True, help="Print one frame and end.")
def top(every: float, once: bool) -> None:
    """Workloads and their busiest flows, live; q ends it."""
    from rich.console import Console
    from rich.live import Live

    from pyctl.api.client import AgentClient

    client = AgentClient(options.instance())
    console = Console()
    before = frame(client)
    if once:
        console.print(drawn(before, None))
        return
    try:
        with (
            _keys() as pressed,
            Live(
                drawn(before, None), console=console, screen=console.is_terminal
            ) as on,
        ):
            while not pressed(every):
                now = frame(client)
                on.update(drawn(now, before), refresh=True)
                before = now
    except KeyboardInterrupt:
        return


def frame(client: Any) -> Frame:
    """Return what is shown, asked at one moment."""
    return {
        "at": time.monotonic(),
        "status": client.status(),
        "workloads": client.workloads()["workloads"],
        "flows": client.flows(_LOOKED_AT, since=time.time() - 60)["flows"],
    }


def volume(flow: Mapping[str, Any]) -> int:
    """Return the bytes of both directions."""
    return int(flow["bytes"] + flow["bytes_back"])


def _name(flow: Mapping[str, Any]) -> tuple[object, ...]:
    ends = (flow["source"], flow["source_port"], flow["destination"])
    return (flow["protocol"], *ends, flow["destination_port"], round(flow["started"]))


def rates(now: Frame, before: Frame | None) -> list[float]:
    """Return bytes per second of each flow of `now`: since `before`, or over its life so far."""
    known = {_name(flow): volume(flow) for flow in before["flows"]} if before else {}
    passed = now["at"] - before["at"] if before else 0.0
    found = []
    for flow in now["flows"]:
        if passed > 0:
            grown = volume(flow) - known.get(_name(flow), 0)
            found.append(max(0.0, grown / passed))
        else:
            found.append(volume(flow) / max(1.0, flow["last"] - flow["started"]))
    return found


def short(number: float) -> str:
    """Return a number as `950`, `1.2k`, `34M`."""
    for unit in _UNITS:
        if number < 999.5 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.1f}{unit}" if unit and number < 9.95 else f"{number:.0f}{unit}"


def drawn(now: Frame, before: Frame | None) -> Any:
    """Return one frame as rich renders it."""
    from rich.console import Group
    from rich.text import Text

    by_rate = sorted(
        zip(rates(now, before), now["flows"], strict=True),
        key=lambda pair: (pair[0], volume(pair[1])),
        reverse=True,
    )
    status = now["status"]
    engine = status["engine"]
    head = (
        f"segctl {status['instance']}  engine {engine['state']}  "
        f"{render.count(engine['sessions'], 'session')}  "
        f"{short(8 * sum(rate for rate, _ in by_rate))}bit/s"
    )
    if not status["history"]["recording"]:
        head += "  flows are not recorded"
    places = [COLUMNS.index(column) for column in FLOW_COLUMNS]
    flows = [
        [short(8 * rate), *(row(flow)[place] for place in places)]
        for rate, flow in by_rate[:FLOWS]
    ]
    return Group(
        Text(head, style="bold"),
        _table(
            ("workload", "mode", "datapath", "flows", "denied", "bit/s"),
            [_workload(one, by_rate) for one in now["workloads"]],
        ),
        _table(("bit/s", *FLOW_COLUMNS), flows),
    )


def _workload(
    workload: Mapping[str, Any], by_rate: list[tuple[float, Mapping[str, Any]]]
) -> list[object]:
    name = workload["name"]
    mine = [
        (rate, flow)
        for rate, flow in by_rate
        if any(said["workload"] == name for said in flow["judged"])
    ]
    denied = sum(flow["flows"] for _, flow in mine if flow["verdict"] == "deny")
    return [
        name,
        workload["mode"],
        workload["datapath"],
        len(mine),
        denied,
        short(8 * sum(rate for rate, _ in mine)),
    ]


def _table(columns: tuple[str, ...], rows: list[list[object]]) -> Any:
    cells = [list(map(render.safe, row)) for row in rows]
    return render.rich_table(columns, cells, no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def _keys() -> Iterator[Any]:
    """Yield a function that waits so many seconds and returns whether q was pressed."""
    if not sys.stdin.isatty():

        def wait(seconds: float) -> bool:
            time.sleep(seconds)
            return False

        yield wait
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def pressed(seconds: float) -> bool:
        ready = select.select([fd], [], [], seconds)[0]
        return bool(ready) and sys.stdin.read(1) in ("q", "Q", "")

    try:
        tty.setcbreak(fd)
        yield pressed
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)

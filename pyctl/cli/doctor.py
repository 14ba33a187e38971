"""segctl doctor.

In: nothing. Out: what this host can do, found by trying. I/O: scratch namespaces that vanish.
"""

from __future__ import annotations

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command


@click.command(cls=Command)
@options.output
def doctor(as_json: bool) -> None:
    """What this host can do, and which datapath that gives.

    Each capability is tried in namespaces that vanish, none is guessed from a version. Without
    root some stay unknown. Exit code 4 where no datapath can work here.
    """
    from pyctl.doctor.probe import probe

    report = probe()
    if as_json:
        render.as_json(report.as_dict())
    else:
        render.table(
            ["capability", "state", "found", "without it"],
            (
                [each.name, each.state, each.detail, "" if each.ok else each.cost]
                for each in report.capabilities
            ),
        )
        click.echo()
        click.echo(f"kernel {report.kernel}, {report.machine}, segctl {report.version}")
        click.echo(f"datapath: {report.verdict}")
        click.echo(
            f"engines: {report.workers} (one per four CPUs, unless agent.yaml says `workers`)"
        )
    if report.datapath is None and not report.unknown:
        click.get_current_context().exit(4)

"""segctl dump-maps.

In: a map's name. Out: its entries decoded. I/O: the pins; no agent is needed.
"""

from __future__ import annotations

import click

from pyctl.cli.shared import options, render
from pyctl.cli.shared.once import Command


@click.command("dump-maps", cls=Command)
@click.argument("name", metavar="[MAP]", required=False)
@options.output
def dump_maps(name: str | None, as_json: bool) -> None:
    """The BPF maps decoded; works without an agent.

    \b
    seg_ports     interface → port, role, mode, options   seg_gens      port → generation
    seg_reinject  port → both interfaces, MAC             seg_control   heartbeat of each worker
    seg_flows4    flow → verdict, counters                seg_flows6    the same for IPv6
    seg_addrs     port's addresses                        seg_owners    address → who has it
    seg_macs      MAC → who has it, what it serves        seg_nets      networks of the policy's groups
    seg_services  what programs may open by themselves    seg_classes   networks → classes of peers
    seg_counters  port, reason → counts
    """  # noqa: D301  \b is click's
    options.require_root("dump-maps")
    from pyctl.datapath.maps import capacity
    from pyctl.datapath.maps import dump_maps as decoded

    found = decoded(options.instance(), name)
    if as_json:
        render.as_json(found)
        return
    for each, rows in found.items():
        room = capacity(each)
        render.heading(f"{each}: {len(rows)}" + (f" of {room}" if room else ""))
        if rows:
            columns = list(dict.fromkeys(key for row in rows for key in row))
            render.table(
                columns, ([_cell(row.get(key)) for key in columns] for row in rows)
            )


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value

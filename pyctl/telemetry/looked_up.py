"""The DNS names of those whom flows were opened to, as the engines know them.

In: the engines' flows. Out: names by port and address. I/O: the engines' sockets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyctl.engine.records import EngineFlow
from pyctl.engine.workers import Workers
from pyctl.model.policy import Direction

MOST_ASKED = 4000
"""The most destinations whose names are asked for at once."""


def names_of_peers(
    engines: Workers, flows: Iterable[EngineFlow]
) -> Mapping[tuple[int, str], tuple[str, ...]]:
    """Return the names by port id and destination: what was asked for, then the aliases that groups take. Nothing is
    asked while no engine has learnt a name.
    """
    if not engines.name_counts([0]).get("learnt"):
        return {}
    peers = dict.fromkeys(
        (one.port_id, one.destination)
        for one in flows
        if one.direction is Direction.EGRESS and one.destination
    )
    found: dict[tuple[int, str], dict[str, None]] = {}
    for name in engines.names_of(list(peers)[:MOST_ASKED]) if peers else ():
        known = found.setdefault((name.port_id, name.address), {})
        known |= dict.fromkeys(one for one in (name.asked, name.matched) if one)
    return {peer: tuple(names) for peer, names in found.items()}

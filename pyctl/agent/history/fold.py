"""Floods become counts.

In: the flow records of one batch. Out: as many or fewer. I/O: none.
Repeats of one flow are always one record. Where a batch is still too long, flows that differ in
the opener's port only are folded, then those that differ in the ports: a scan of a host, or a
client that opens thousands of connections a second, is one line with a count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyctl.agent.history.values import FlowRecord

FLOOD = 2000
"""Records of one batch (a second) that are stored one by one."""


def folded(records: Iterable[FlowRecord], most: int = FLOOD) -> list[FlowRecord]:
    """Every packet and byte is in the result once."""
    found = _by_identity(records)
    if len(found) > most:
        found = _by_identity(replace(one, sport=None) for one in found)
    if len(found) > most:
        found = _by_identity(replace(one, dport=None) for one in found)
    return found


def _by_identity(records: Iterable[FlowRecord]) -> list[FlowRecord]:
    kept: dict[tuple[object, ...], FlowRecord] = {}
    for record in records:
        # Flows that ended stay apart by their start; denied packets are of one attempt.
        start = (
            None if record.verdict == "deny" or record.sport is None else record.started
        )
        key = (*record.identity, start)
        earlier = kept.get(key)
        if earlier is None:
            kept[key] = record
        elif record.verdict == "deny" and record.sport is not None:
            kept[key] = replace(earlier.and_more(record), flows=earlier.flows)
        else:
            kept[key] = earlier.and_more(record)
    return list(kept.values())

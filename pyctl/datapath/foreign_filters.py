"""Filters of others that a port's frames meet before ours.

In: the filters of a hook, and which of them are ours. Out: a line for each that stands in front.
I/O: none. What such a filter takes or lets by is never inspected, whatever we do behind it. It is reported,
not removed: it may be somebody's accounting, and its owner can add it again. clsact ingress of vex and vin is
checked. Not checked are vbr, where the cost grows with the node's ports; egress; and tcx programs (Linux
6.6), which come before all filters and send no event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyctl.platform.tc.filters import Filter


def in_front(
    device: str, filters: Iterable[Filter], first: int, ours: Callable[[Filter], bool]
) -> list[str]:
    """Return a line for each pref below `first` with a filter of others. Only chain 0 counts: frames reach
    another chain only through a filter of chain 0, which is reported.
    """
    found = {
        (one.pref, one.kind)
        for one in filters
        if one.pref < first and not one.chain and not ours(one)
    }
    return [
        f"in front {device} pref {pref}: a {kind} filter of another, which frames meet before ours"
        for pref, kind in sorted(found)
    ]

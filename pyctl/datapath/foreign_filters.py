"""Filters of others that a port's frames meet before ours.

In: the filters of a hook, and which of them are ours. Out: a line for each that stands in front.
I/O: none.
What such a filter takes or lets by is never inspected, whatever we do behind it. It is told, and not taken
away: it may be somebody's accounting, and whoever may put it there may do it again. Looked at: clsact
ingress of vex and vin. Not looked at: vbr, where a look costs as much as the node has ports; egress;
and tcx programs (Linux 6.6), which stand in front of all filters and announce themselves to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyctl.platform.tc.filters import Filter


def in_front(
    device: str, filters: Iterable[Filter], first: int, ours: Callable[[Filter], bool]
) -> list[str]:
    """Those of others with a pref below `first`, once for each pref. One of another chain is met
    only where one of the first chain sends a frame there, and that one is told.
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

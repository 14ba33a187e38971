"""A macvlan: it has no peer, and its parent hands it what is for its MAC and its groups."""

from __future__ import annotations

from pyctl.intercept.kinds.base import Kind
from pyctl.platform.netlink import links


class Macvlan(Kind):
    """The kind macvlan. Without allmulti, vex filters by its own groups and drops neighbour solicitations."""

    name = "macvlan"
    vex_flags = links.IFF_ALLMULTI

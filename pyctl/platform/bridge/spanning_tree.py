"""The spanning tree at a bridge's port.

In: a socket in the bridge's namespace, the port's Link. Out: seconds. I/O: rtnetlink.
"""

from __future__ import annotations

from pyctl.platform.netlink.links import (
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    RTM_GETLINK,
    Link,
    ifinfo,
)
from pyctl.platform.netlink.raw import RawNetlink, attrs, text, u32

IFLA_INFO_SLAVE_DATA = 5
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE = 1, 5
IFLA_BRPORT_STATE = 1
BR_STATE_FORWARDING = 3
USER_HZ = 100


def forward_delay(nl: RawNetlink, port: Link) -> float:
    """Return for how many seconds a forwarding port stops forwarding after a short loss of carrier, because
    it listens and learns first. 0 without a spanning tree, and if it does not forward now.
    """
    if not port.master:
        return 0.0
    bridge = _info(nl, port.master)
    own = attrs(_info(nl, port.index).get(IFLA_INFO_SLAVE_DATA, b""))
    if text(bridge.get(IFLA_INFO_KIND)) != "bridge":
        return 0.0
    said = attrs(bridge.get(IFLA_INFO_DATA, b""))
    state = own.get(IFLA_BRPORT_STATE, b"\0")[0]
    if not u32(said.get(IFLA_BR_STP_STATE)) or state != BR_STATE_FORWARDING:
        return 0.0
    return 2 * u32(said.get(IFLA_BR_FORWARD_DELAY)) / USER_HZ


def _info(nl: RawNetlink, index: int) -> dict[int, bytes]:
    body = nl.get(RTM_GETLINK, ifinfo(index))
    return attrs(attrs(body[16:]).get(IFLA_LINKINFO, b""))

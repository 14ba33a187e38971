"""What an interface carries, in words: for messages.

In: message bodies of l3. Out: a few words each, much as `ip` writes them. I/O: none.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from pyctl.platform.netlink import l3, neighbours, nexthops
from pyctl.platform.netlink.raw import attrs, u32

RTN_NAMES = {2: "local", 3: "broadcast", 4: "anycast", 5: "multicast"}
RTN_NAMES |= {6: "blackhole", 7: "unreachable", 8: "prohibit"}
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_TABLE = 1, 2, 3, 6, 15


def route_text(body: bytes) -> str:
    """Return `192.0.2.0/24 via 198.51.100.1 dev 4 metric 100 table 7`; devices by their indexes."""
    family, length = body[0], body[1]
    found = attrs(body[12:])
    words = [RTN_NAMES[body[7]]] if body[7] in RTN_NAMES else []
    words.append(_prefix(family, found, l3.RTA_DST, length) or "default")
    for via_family, raw, _index in sorted(l3.gateways(body)):
        words.append(f"via {socket.inet_ntop(via_family, raw)}")
    words += [f"dev {index}" for index in sorted(l3.route_oifs(body))]
    if l3.RTA_NH_ID in found:
        words.append(f"nhid {u32(found[l3.RTA_NH_ID])}")
    if l3.RTA_PRIORITY in found:
        words.append(f"metric {u32(found[l3.RTA_PRIORITY])}")
    table = l3.route_table(body)
    return " ".join(words + ([] if table == l3.RT_TABLE_MAIN else [f"table {table}"]))


def rule_text(body: bytes) -> str:
    """Return the rule as `100: from 192.0.2.0/24 table 7`."""
    family, to, source = body[0], body[1], body[2]
    found = attrs(body[12:])
    words = [f"{u32(found.get(FRA_PRIORITY))}:"]
    words.append(f"from {_prefix(family, found, FRA_SRC, source) or 'all'}")
    if target := _prefix(family, found, FRA_DST, to):
        words.append(f"to {target}")
    if FRA_IIFNAME in found:
        words.append(f"iif {os.fsdecode(found[FRA_IIFNAME].rstrip(bytes(1)))}")
    return " ".join([*words, f"table {u32(found.get(FRA_TABLE), body[4])}"])


def neighbour_text(body: bytes) -> str:
    """Return the neighbour as `192.0.2.7 at 02:00:00:00:00:07`."""
    found = attrs(body[12:])
    address = found.get(neighbours.NDA_DST)
    name = socket.inet_ntop(body[0], address) if address else "a neighbour"
    mac = found.get(neighbours.NDA_LLADDR)
    return f"{name} at {mac.hex(':')}" if mac else name


def nexthop_text(body: bytes) -> str:
    """Return the nexthop as `5 via 192.0.2.1 dev 4`."""
    found = attrs(body[8:])
    words = [str(u32(found.get(nexthops.NHA_ID)))]
    if nexthops.NHA_GATEWAY in found:
        words.append(f"via {socket.inet_ntop(body[0], found[nexthops.NHA_GATEWAY])}")
    if nexthops.NHA_OIF in found:
        words.append(f"dev {u32(found[nexthops.NHA_OIF])}")
    return " ".join([*words, "a group"] if nexthops.NHA_GROUP in found else words)


def token_text(token: str) -> str:
    """Return an interface's IPv6 token (Link.token) as an address."""
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(token))


def _prefix(family: int, found: Mapping[int, bytes], kind: int, length: int) -> str:
    """Return `a.b.c.d/len`; "" if there is no such attribute."""
    if kind not in found:
        return ""
    if family in (socket.AF_INET, socket.AF_INET6):
        return f"{socket.inet_ntop(family, found[kind])}/{length}"
    return f"{found[kind].hex()}/{length}"

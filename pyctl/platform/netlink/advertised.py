"""Routes that the kernel makes of router advertisements, and renews and withdraws by them.

In: message bodies of l3, /proc/thread-self/net/ipv6_route of the namespace that the calling thread stands in.
Out: message bodies, keys. I/O: that file, ioctl(SIOCADDRT).

A mark tells the kernel's own from others, RTF_ADDRCONF. rtnetlink neither shows nor sets it. A router that the
kernel knows by an unmarked route is a stranger to it, for which it cannot add another such route either: then it
throws every further advertisement of that router away. So these routes are put back by the ioctl, which takes marks
and, of metrics, none: what an advertisement said of MTU and hop limit stands in the interface's sysctls too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyctl.platform.absence import raise_if_blind
from pyctl.platform.netlink import l3
from pyctl.platform.netlink.raw import attrs, u32

TABLE = Path("/proc/thread-self/net/ipv6_route")
SIOCADDRT, SIOCDELRT = 0x890B, 0x890C
RTA_PREF = 20
RTF_UP, RTF_GATEWAY, RTF_DEFAULT, RTF_ADDRCONF = 0x1, 0x2, 0x10000, 0x40000
RTF_PREFIX_RT, RTF_EXPIRES, RTF_ROUTEINFO = 0x80000, 0x400000, 0x800000
RTF_PREF_SHIFT = 27
_IN6_RTMSG = struct.Struct("@16s16s16sIHHILIi")
_LINK_LOCAL = b"\xfe\x80"


def place(body: bytes) -> bytes:
    """Return what identifies an advertised route: prefix, gateway, priority, interface."""
    found = attrs(body[12:])
    to, gateway = found.get(l3.RTA_DST, b""), found.get(l3.RTA_GATEWAY, b"")
    metric, index = u32(found.get(l3.RTA_PRIORITY)), u32(found.get(l3.RTA_OIF))
    return _place(to, body[1], gateway, metric, index)


def _place(to: bytes, length: int, gateway: bytes, metric: int, index: int) -> bytes:
    ends = struct.pack("=BII", length, metric, index)
    return to.ljust(16, b"\0") + gateway.ljust(16, b"\0") + ends


def likely(body: bytes, index: int) -> bool:
    """Return whether the route could be advertised over the interface, so that TABLE is worth reading."""
    if body[0] != socket.AF_INET6 or body[7] != l3.RTN_UNICAST:
        return False
    found = attrs(body[12:])
    end = found.get(l3.RTA_GATEWAY) or found.get(l3.RTA_DST, _LINK_LOCAL)
    via = l3.RTA_GATEWAY in found
    return u32(found.get(l3.RTA_OIF)) == index and via == end.startswith(_LINK_LOCAL)


def marked(name: str, index: int) -> frozenset[bytes]:
    """Return the places of all routes that are advertised over one interface."""
    try:
        table = TABLE.read_bytes()
    except OSError as error:  # Without IPv6.
        raise_if_blind(error)
        return frozenset()
    rows = (line.split() for line in table.splitlines())
    return frozenset(
        _place(
            bytes.fromhex(to.decode()),
            int(length, 16),
            bytes.fromhex(gateway.decode()),
            int(metric, 16),
            index,
        )
        for to, length, _, _, gateway, metric, _, _, marks, owner in rows
        if int(marks, 16) & RTF_ADDRCONF and owner == os.fsencode(name)
    )


def message(body: bytes) -> bytes:
    """Return a struct in6_rtmsg as the kernel makes it from an advertisement."""
    found = attrs(body[12:])
    gateway, length = found.get(l3.RTA_GATEWAY), body[1]
    marks = RTF_UP | RTF_ADDRCONF | found.get(RTA_PREF, b"\0")[0] << RTF_PREF_SHIFT
    if gateway is None:
        marks |= RTF_PREFIX_RT
    else:
        marks |= RTF_GATEWAY | (RTF_ROUTEINFO if length else RTF_DEFAULT)
    ticks = l3.route_expiry(body)
    return _IN6_RTMSG.pack(
        found.get(l3.RTA_DST, b""),
        b"",
        gateway or b"",
        l3.RTN_UNICAST,
        length,
        0,
        u32(found.get(l3.RTA_PRIORITY)),
        ticks,
        marks | (RTF_EXPIRES if ticks else 0),
        u32(found[l3.RTA_OIF]),
    )


def put_back(bodies: Iterable[bytes]) -> list[tuple[bytes, OSError]]:
    """Add the missing routes in the thread's namespace; return those that were refused, and why.

    An address brings an unmarked route to its prefix, or takes the mark off one: that is deleted first.
    """
    refused = []
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
        for body in bodies:
            wanted = message(body)
            try:
                if not l3.needs_gateway(body):
                    with _expecting(errno.ESRCH):
                        fcntl.ioctl(asking, SIOCDELRT, wanted)
                with _expecting(errno.EEXIST):
                    fcntl.ioctl(asking, SIOCADDRT, wanted)
            except OSError as error:
                refused.append((body, error))
    return refused


@contextlib.contextmanager
def _expecting(number: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise

"""Connections that a namespace translates for others: kept while a device of theirs goes and comes.

In: a namespace's descriptor. Out: ctnetlink messages. I/O: NETLINK_NETFILTER, in that namespace. When a
device goes down the kernel forgets what was masqueraded over it, and answers the next packet of such a
connection with a reset. The entries are made anew as they were, which ties them to no device.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from pyctl.platform import sysctl
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    RawNetlink,
    attr,
    attrs,
    nest,
    packed,
)
from pyctl.platform.netns import entered

NETLINK_NETFILTER = 12
IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET = 0x100, 0x101
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO = 1, 2, 3, 4
CTA_NAT_SRC, CTA_TIMEOUT, CTA_MARK, CTA_NAT_DST, CTA_ZONE = 6, 7, 8, 13, 18
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3
CTA_PROTOINFO_TCP, TCP_FLAGS = 1, (4, 5)
CTA_NAT_PROTO, CTA_PROTONAT_PORT_MIN, CTA_PROTONAT_PORT_MAX = 3, 1, 2
_IDS = {socket.IPPROTO_ICMP: 4, socket.IPPROTO_ICMPV6: 7}
IPS_CONFIRMED, IPS_SRC_NAT, IPS_DST_NAT = 0x8, 0x10, 0x20
_KEPT_STATUS = 0x2 | 0x4 | 0x400
"""IPS_SEEN_REPLY, IPS_ASSURED, IPS_FIXED_TIMEOUT: the kernel knows the rest by itself."""
ENTRIES_MAX = 16_384
"""A limit, because the workload is cut off while entries are restored."""

Tuple = tuple[dict[int, bytes], dict[int, bytes]]
"""The attributes of one direction: addresses (source odd, destination even), protocol and ports."""


class Translated:
    """The connections whose source this namespace translates; `put_back` restores those that are gone."""

    def __init__(self, netns_fd: int) -> None:
        self._netns_fd = netns_fd
        self._messages: list[Message] = []
        self.left_out = 0
        with entered(netns_fd):
            # If nothing is tracked, a dump would load the modules for it.
            if sysctl.read("netfilter/nf_conntrack_count") in (None, "0"):
                return
        # A kernel without ctnetlink can neither dump nor restore.
        unreadable = (OSError, LookupError, struct.error)
        with contextlib.suppress(*unreadable), self._open() as nl:
            bodies = nl.dump(IPCTNL_MSG_CT_GET, bytes(4))
            found = [one for body in bodies if (one := message(body))]
            self._messages = found[:ENTRIES_MAX]
            self.left_out = len(found) - len(self._messages)

    def _open(self) -> RawNetlink:
        with entered(self._netns_fd):
            return RawNetlink(protocol=NETLINK_NETFILTER)

    def put_back(self) -> None:
        """Restore the connections that are gone; those that exist are left alone."""
        if self._messages:
            with contextlib.suppress(OSError), self._open() as nl:
                nl.batch(self._messages)


def message(body: bytes) -> Message | None:
    """Return the message that restores a dumped entry; None if its source is not translated."""
    found = attrs(body[4:])
    status = int.from_bytes(found.get(CTA_STATUS, b""), "big")
    if not status & IPS_SRC_NAT:
        return None
    original, reply = _tuple(found[CTA_TUPLE_ORIG]), _tuple(found[CTA_TUPLE_REPLY])
    status = status & _KEPT_STATUS | IPS_CONFIRMED
    parts = [
        nest(CTA_TUPLE_ORIG, found[CTA_TUPLE_ORIG]),
        nest(CTA_TUPLE_REPLY, _packed(_inverse(original, reply))),
        attr(CTA_STATUS, struct.pack(">I", status)),
        _range(CTA_NAT_SRC, reply, source=False),
    ]
    if int.from_bytes(found[CTA_STATUS], "big") & IPS_DST_NAT:
        parts.append(_range(CTA_NAT_DST, reply, source=True))
    if CTA_PROTOINFO in found:
        parts.append(nest(CTA_PROTOINFO, _protocol_state(found[CTA_PROTOINFO])))
    parts += [
        attr(kind, found[kind])
        for kind in (CTA_TIMEOUT, CTA_MARK, CTA_ZONE)
        if kind in found
    ]
    return Message(
        IPCTNL_MSG_CT_NEW, body[:4] + b"".join(parts), NLM_F_CREATE | NLM_F_EXCL
    )


def _tuple(data: bytes) -> Tuple:
    found = attrs(data)
    return attrs(found[CTA_TUPLE_IP]), attrs(found[CTA_TUPLE_PROTO])


def _packed(one: Tuple) -> bytes:
    ips, ports = (packed(part) for part in one)
    return nest(CTA_TUPLE_IP, ips) + nest(CTA_TUPLE_PROTO, ports)


def _inverse(original: Tuple, reply: Tuple) -> Tuple:
    """Return the reply tuple as it would be without translation."""
    ips = {kind + 1 if kind % 2 else kind - 1: ip for kind, ip in original[0].items()}
    ports = dict(reply[1])
    if CTA_PROTO_SRC_PORT in ports:
        ports[CTA_PROTO_SRC_PORT] = original[1][CTA_PROTO_DST_PORT]
        ports[CTA_PROTO_DST_PORT] = original[1][CTA_PROTO_SRC_PORT]
    for kind in _IDS.values():
        if kind in ports:
            ports[kind] = original[1][kind]
    return ips, ports


def _range(kind: int, reply: Tuple, *, source: bool) -> bytes:
    """Return the translation to exactly the address and port of the reply."""
    ips, ports = reply
    is_six = 3 in ips
    ip = ips[(3 if is_six else 1) + (not source)]
    low, high = (4, 5) if is_six else (1, 2)
    parts = attr(low, ip) + attr(high, ip)
    number = CTA_PROTO_SRC_PORT if source else CTA_PROTO_DST_PORT
    number = _IDS.get(ports[CTA_PROTO_NUM][0], number)
    if number in ports:
        port = attr(CTA_PROTONAT_PORT_MIN, ports[number])
        parts += nest(CTA_NAT_PROTO, port + attr(CTA_PROTONAT_PORT_MAX, ports[number]))
    return nest(kind, parts)


def _protocol_state(data: bytes) -> bytes:
    """Return CTA_PROTOINFO with TCP flag masks, which a dump leaves out and the kernel needs."""
    found = attrs(data)
    if CTA_PROTOINFO_TCP not in found:
        return b"".join(nest(kind, value) for kind, value in found.items())
    tcp = attrs(found[CTA_PROTOINFO_TCP])
    for kind in TCP_FLAGS:
        if kind in tcp:
            tcp[kind] = tcp[kind][:1] * 2
    return nest(CTA_PROTOINFO_TCP, *(attr(k, v) for k, v in tcp.items()))

"""A netlink client that keeps messages as the kernel wrote them: for what pyroute2 (platform.iproute) cannot do.

In: message types, bodies, attributes as bytes. Out: bodies as bytes, errno per message.
I/O: one AF_NETLINK socket in the network namespace that it was opened in.

While a workload is cut off, many messages go out in one write, and looks are short: a socket opens in 0.02 ms, one
link is read in 0.04, the programs of a port are set in 0.6; through pyroute2 0.3, 0.22 and 2.5 (medians of 200 on one
machine, pyroute2 0.9.7). What is put back then is *every* attribute of an address or a route, also those that this
code has no name for: nothing is decoded into objects and encoded again, a dumped body is stored, masked where the
kernel reports state (netlink.l3), and sent back. With the sockets of a splice goes what is looked up for it before.

Off the cut-off, it is here for what happens as often as others like. An event of a watched namespace costs 0.01 ms
(pyroute2: 0.1), and a watch less than 1 kB of memory (7); the host has a namespace to be asked for by each container;
a short process would import pyroute2 first (0.26 s, 20 MB). And for sock_diag, where pyroute2 takes no socket that is
connected to the kernel and tells of no refusal (two listeners: 0.04 ms, through pyroute2 0.8).

A namespace may be a workload's, and whoever has CAP_NET_ADMIN there may send to any netlink
socket in it. So a socket is connected to the kernel, a datagram of another sender is thrown
away, and sequence numbers start anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from pyctl.platform.ready import readable

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
NLMSGERR_ATTR_MSG = 1
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 11, 12
NETLINK_ADD_MEMBERSHIP = 1
KERNEL = 0
"""Its port id; no process can have it."""
DATAGRAM_MAX = 1 << 20
RCVBUF = 4 << 20
DUMP_TRIES = 5
CHUNK = 60_000
CHUNK_MESSAGES = 256
"""The kernel needs up to 1 ms for an address, and whoever gives way between two writes must do so often."""
EVENTS_AT_ONCE = 256
ANSWER_SECONDS = 10.0
"""A kernel that holds the RTNL lock longer than this is stuck."""

_HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")


class NetlinkError(OSError):
    """A message that the kernel refused; `errno` is its reason, the text its own words."""


@dataclass(frozen=True)
class Message:
    """A message without its header."""

    kind: int
    """RTM_*"""
    body: bytes
    flags: int = 0
    """NLM_F_* besides REQUEST and ACK."""


def attr(kind: int, payload: bytes) -> bytes:
    """Return an attribute, padded."""
    head = _ATTR.pack(len(payload) + 4, kind)
    return head + payload + b"\0" * (-len(payload) % 4)


def attr_u32(kind: int, value: int) -> bytes:
    """Return an attribute that holds a native u32."""
    return attr(kind, struct.pack("=I", value))


def attr_text(kind: int, value: str) -> bytes:
    """Return an attribute that holds a C string; the inverse of `text` for any bytes."""
    return attr(kind, value.encode(errors="surrogateescape") + b"\0")


def nest(kind: int, *attrs: bytes) -> bytes:
    """Return an attribute made of attributes."""
    return attr(kind | NLA_F_NESTED, b"".join(attrs))


def iter_attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, payload) of each attribute; stop silently at one that does not fit."""
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTR.unpack_from(data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & NLA_TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


def attrs(data: bytes) -> dict[int, bytes]:
    """Return the attributes by type; of several with one type the last."""
    return dict(iter_attrs(data))


def packed(found: Mapping[int, bytes]) -> bytes:
    """Return attributes by type as bytes, in the order of their types."""
    return b"".join(attr(kind, value) for kind, value in sorted(found.items()))


def u32(data: bytes | None, default: int = 0) -> int:
    """Return a native u32 attribute's value."""
    return int(struct.unpack_from("=I", data)[0]) if data else default


def text(data: bytes | None) -> str:
    """Return a C string attribute's value."""
    return (data or b"").split(b"\0")[0].decode(errors="surrogateescape")


def kernel_socket(
    groups: int = 0, protocol: int = socket.NETLINK_ROUTE
) -> socket.socket:
    """Open a netlink socket that takes unicast from the kernel alone. `groups`: RTMGRP_* bits."""
    made = socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, protocol
    )
    made.connect((KERNEL, 0))
    # SO_RCVBUFFORCE (33): a workload's routing table must fit, whatever rmem_max is.
    # Refused in a user namespace, where `segctl doctor` looks around without root.
    with contextlib.suppress(PermissionError):
        made.setsockopt(socket.SOL_SOCKET, 33, RCVBUF)
    if groups:
        made.bind((made.getsockname()[0], groups))
    return made


def receive(sock: socket.socket, flags: int = 0) -> bytes:
    """Return the kernel's next datagram; b"" if another process sent it. OSError as recv(2).

    connect(2) blocks later unicast of others, but not what came before it, nor multicast.
    """
    data, (sender, _groups) = sock.recvfrom(DATAGRAM_MAX, flags)
    return data if sender == KERNEL else b""


def messages_of(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield (type, flags, sequence, body) of each message in a datagram; stop silently at invalid data."""
    at = 0
    while at + 16 <= len(data):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, at)
        if length < 16:
            return
        yield kind, flags, sequence, data[at + 16 : at + length]
        at += (length + 3) & ~3


class RawNetlink:
    """An rtnetlink socket. `groups` are RTNLGRP_* numbers for `wait_event`.

    Raises NetlinkError for the kernel's refusals; close it (or use `with`).
    """

    def __init__(
        self, groups: Iterable[int] = (), protocol: int = socket.NETLINK_ROUTE
    ) -> None:
        self._sock = kernel_socket(protocol=protocol)
        self._sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        # Not on the same socket: thousands of events would leave no room for an answer.
        self._events = kernel_socket()
        for group in groups:
            self._events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self._sequence = secrets.randbelow(0x7FFFFFFF)
        self.between_writes: Callable[[], object] = lambda: None
        """Called between two writes of a batch that does not fit into one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both sockets."""
        self._sock.close()
        self._events.close()

    def _number(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _receive(self, deadline: float) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield (type, flags, sequence, body) of the messages in the next datagram."""
        left = deadline - time.monotonic()
        if left <= 0 or not readable(self._sock, left):
            raise NetlinkError(errno.ETIMEDOUT, "the kernel did not answer in time")
        yield from messages_of(receive(self._sock))

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        """Send all messages, many in one write; return for each None or why it was refused."""
        results: list[NetlinkError | None] = []
        chunk: list[Message] = []
        size = 0
        for message in messages:
            # A write is limited by the send buffer; 64 KiB is far below its default.
            if len(chunk) == CHUNK_MESSAGES or (
                chunk and size + len(message.body) > CHUNK
            ):
                results += self._exchange(chunk)
                chunk, size = [], 0
                self.between_writes()
            chunk.append(message)
            size += 20 + len(message.body)
        return results + (self._exchange(chunk) if chunk else [])

    def _exchange(self, chunk: list[Message]) -> list[NetlinkError | None]:
        """Send the chunk in one write; return the refusals. The kernel goes through it in order and answers
        what it refuses; only the last message asks for an answer in any case.
        """
        numbers = [self._number() for _ in chunk]
        packed = []
        for number, message in zip(numbers, chunk, strict=True):
            flags = message.flags | NLM_F_REQUEST
            flags |= NLM_F_ACK if number == numbers[-1] else 0
            body = message.body + b"\0" * (-len(message.body) % 4)
            length = 16 + len(body)
            packed.append(_HEADER.pack(length, message.kind, flags, number, 0) + body)
        self._sock.send(b"".join(packed))
        refused = self._refusals(frozenset(numbers), numbers[-1])
        return [refused.get(number) for number in numbers]

    def _refusals(
        self, numbers: frozenset[int], last: int
    ) -> dict[int, NetlinkError | None]:
        refused: dict[int, NetlinkError | None] = {}
        deadline = time.monotonic() + ANSWER_SECONDS
        while last not in refused:
            for kind, flags, sequence, body in self._receive(deadline):
                if kind == NLMSG_ERROR and sequence in numbers:
                    refused[sequence] = refusal(body, flags)
        return refused

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one message that changes something; NetlinkError if it is refused."""
        refused = self.batch([Message(kind, body, flags)])[0]
        if refused:
            raise refused

    def get(self, kind: int, body: bytes) -> bytes:
        """Return the one answer to a question; NetlinkError if it is refused."""
        sequence = self._number()
        head = _HEADER.pack(16 + len(body), kind, NLM_F_REQUEST, sequence, 0)
        self._sock.send(head + body)
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            for answer, flags, number, payload in self._receive(deadline):
                if number != sequence:
                    continue
                if answer != NLMSG_ERROR:
                    return payload
                refused = refusal(payload, flags)
                raise refused or NetlinkError(errno.ENODATA, "an empty answer")

    def filtered(self, kind: int, body: bytes) -> list[bytes]:
        """Return a dump filtered by the attributes in the body."""
        self._sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        try:
            return self.dump(kind, body)
        finally:
            self._sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 0)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return the bodies of a whole table, read again if it changed meanwhile. After DUMP_TRIES the last
        result is returned: endless changes must not keep us from looking.
        """
        for _ in range(DUMP_TRIES):
            found, torn = self._dump_once(kind, body)
            if not torn:
                return found
        return list(dict.fromkeys(found))

    def _dump_once(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        sequence = self._number()
        flags = NLM_F_REQUEST | NLM_F_DUMP
        self._sock.send(_HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body)
        found: list[bytes] = []
        torn = False
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            for answer, flags, number, payload in self._receive(deadline):
                if number != sequence:
                    continue
                torn = torn or bool(flags & NLM_F_DUMP_INTR)
                if answer == NLMSG_ERROR:
                    refused = refusal(payload, flags)
                    if refused:
                        raise refused
                if answer in (NLMSG_DONE, NLMSG_ERROR):
                    return found, torn
                found.append(payload)

    def wait_event(self, done: Callable[[], bool], seconds: float) -> bool:
        """Call `done` now and after each event of our groups until it is true; False at the deadline."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or not readable(self._events, left):
                return done()
            try:
                for _ in range(EVENTS_AT_ONCE):
                    receive(self._events, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # Events were lost: just ask again.
                    raise
        return True


def refusal(body: bytes, flags: int) -> NetlinkError | None:
    """Return why the kernel refused a message, by its NLMSG_ERROR; None: it did not."""
    code = -struct.unpack_from("=i", body)[0]
    if code == 0:
        return None
    words = os.strerror(code)
    if flags & NLM_F_ACK_TLVS:
        # The kernel's sentence follows the copy of our message.
        skip = 20
        if not flags & NLM_F_CAPPED:
            skip = 4 + ((struct.unpack_from("=I", body, 4)[0] + 3) & ~3)
        said = text(attrs(body[skip:]).get(NLMSGERR_ATTR_MSG))
        words = f"{words}: {said}" if said else words
    return NetlinkError(code, words)

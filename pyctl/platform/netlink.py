"""A small rtnetlink client that keeps messages as the kernel wrote them.

In: message types, bodies, attributes as bytes. Out: bodies as bytes, errno per message.
I/O: one AF_NETLINK socket in the network namespace that it was opened in.

The splice has to put back *every* attribute of an address or a route, also those that
this code has no name for. So nothing is decoded into objects and encoded again: a
dumped body is stored, masked where the kernel reports state (pyctl.platform.l3), and
sent back. Many messages go out in one write, because the workload is cut off while they
do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
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
SOL_NETLINK, NETLINK_EXT_ACK = 270, 11
NETLINK_ADD_MEMBERSHIP = 1
RCVBUF = 4 << 20
DUMP_TRIES = 5
ANSWER_SECONDS = 10.0
"""A kernel that holds the RTNL lock longer than this is stuck."""

_HEADER = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")


class NetlinkError(OSError):
    """The kernel refused a message; `errno` is its reason, the text its own words."""


@dataclass(frozen=True)
class Message:
    """One message without its header."""

    kind: int
    """RTM_*"""
    body: bytes
    flags: int = 0
    """NLM_F_* besides REQUEST and ACK."""


def attr(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    head = _ATTR.pack(len(payload) + 4, kind)
    return head + payload + b"\0" * (-len(payload) % 4)


def attr_u32(kind: int, value: int) -> bytes:
    """An attribute that holds a native u32."""
    return attr(kind, struct.pack("=I", value))


def attr_text(kind: int, value: str) -> bytes:
    """An attribute that holds a C string."""
    return attr(kind, value.encode() + b"\0")


def nest(kind: int, *attrs: bytes) -> bytes:
    """An attribute made of attributes."""
    return attr(kind | NLA_F_NESTED, b"".join(attrs))


def iter_attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each attribute; ends silently at one that does not fit."""
    at = 0
    while at + 4 <= len(data):
        length, kind = _ATTR.unpack_from(data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & NLA_TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


def attrs(data: bytes) -> dict[int, bytes]:
    """The attributes by type; of equal ones the last."""
    return dict(iter_attrs(data))


def u32(data: bytes | None, default: int = 0) -> int:
    """A native u32 attribute's value."""
    return int(struct.unpack_from("=I", data)[0]) if data else default


def text(data: bytes | None) -> str:
    """A C string attribute's value."""
    return (data or b"").split(b"\0")[0].decode(errors="surrogateescape")


def _socket() -> socket.socket:
    made = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_CLOEXEC,
        socket.NETLINK_ROUTE,
    )
    # SO_RCVBUFFORCE (33): a workload's routing table must fit, whatever rmem_max is.
    # Refused in a user namespace, where `segctl doctor` looks around without root.
    with contextlib.suppress(PermissionError):
        made.setsockopt(socket.SOL_SOCKET, 33, RCVBUF)
    made.bind((0, 0))
    return made


class NetlinkSocket:
    """One rtnetlink socket. `groups` are RTNLGRP_* numbers for `wait_event`.

    Raises NetlinkError for the kernel's refusals; close it (or use `with`).
    """

    def __init__(self, groups: Iterable[int] = ()) -> None:
        self._sock = _socket()
        self._sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        # Not on the same socket: thousands of events would leave no room for an answer.
        self._events = _socket()
        for group in groups:
            self._events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self._sequence = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the sockets back."""
        self._sock.close()
        self._events.close()

    def _number(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _receive(self, deadline: float) -> Iterator[tuple[int, int, int, bytes]]:
        """(type, flags, sequence, body) of the messages in the next datagram."""
        left = deadline - time.monotonic()
        if left <= 0 or not readable(self._sock, left):
            raise NetlinkError(errno.ETIMEDOUT, "the kernel did not answer in time")
        data = self._sock.recv(1 << 20)
        at = 0
        while at + 16 <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, at)
            if length < 16:
                return
            yield kind, flags, sequence, data[at + 16 : at + length]
            at += (length + 3) & ~3

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        """Send all in one write; for each, None or why it was refused."""
        packed = []
        results: dict[int, NetlinkError | None] = {}
        for message in messages:
            sequence = self._number()
            results[sequence] = None
            flags = message.flags | NLM_F_REQUEST | NLM_F_ACK
            body = message.body + b"\0" * (-len(message.body) % 4)
            packed.append(
                _HEADER.pack(16 + len(body), message.kind, flags, sequence, 0) + body
            )
        # A write is limited by the send buffer; 64 KiB is far below its default.
        waiting = list(results)
        while packed:
            chunk: list[bytes] = []
            size = 0
            while packed and (not chunk or size + len(packed[0]) < 65536):
                size += len(packed[0])
                chunk.append(packed.pop(0))
            self._sock.send(b"".join(chunk))
            self._collect(set(waiting[: len(chunk)]), results)
            waiting = waiting[len(chunk) :]
        return list(results.values())

    def _collect(
        self, pending: set[int], results: dict[int, NetlinkError | None]
    ) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while pending:
            for kind, flags, sequence, body in self._receive(deadline):
                if kind == NLMSG_ERROR and sequence in pending:
                    results[sequence] = _refusal(body, flags)
                    pending.discard(sequence)

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """One message that changes something; NetlinkError when refused."""
        refused = self.batch([Message(kind, body, flags)])[0]
        if refused:
            raise refused

    def get(self, kind: int, body: bytes) -> bytes:
        """The one answer to a question; NetlinkError when refused."""
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
                refused = _refusal(payload, flags)
                raise refused or NetlinkError(errno.ENODATA, "an empty answer")

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of a whole table, read again where it changed meanwhile."""
        for _ in range(DUMP_TRIES):
            found = self._dump_once(kind, body)
            if found is not None:
                return found
        raise NetlinkError(errno.EINTR, "the table kept changing while it was read")

    def _dump_once(self, kind: int, body: bytes) -> list[bytes] | None:
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
                    refused = _refusal(payload, flags)
                    if refused:
                        raise refused
                if answer in (NLMSG_DONE, NLMSG_ERROR):
                    return None if torn else found
                found.append(payload)

    def wait_event(self, done: Callable[[], bool], seconds: float) -> bool:
        """Ask `done` now and after each event of our groups; False at the deadline."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or not readable(self._events, left):
                return done()
            try:
                while True:
                    self._events.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # Events were lost: just ask again.
                    raise
        return True


def _refusal(body: bytes, flags: int) -> NetlinkError | None:
    code = -struct.unpack_from("=i", body)[0]
    if code == 0:
        return None
    words = os.strerror(code)
    if flags & NLM_F_ACK_TLVS:
        # The kernel's sentence stands behind the copy of our message.
        skip = 20
        if not flags & NLM_F_CAPPED:
            skip = 4 + ((struct.unpack_from("=I", body, 4)[0] + 3) & ~3)
        said = text(attrs(body[skip:]).get(NLMSGERR_ATTR_MSG))
        words = f"{words}: {said}" if said else words
    return NetlinkError(code, words)

"""The API's connections: the kernel says who the peer is, and a time limit ends slow ones.

In: connections of a unix socket. Out: the peer's uid, as the request's client ("uid", number); the end of
connections that keep the agent waiting. I/O: SO_PEERCRED.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import h11
from fastapi import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 30.0
"""Seconds from the connection, or a request's first byte, to the request's last byte."""
READ_S = 60.0
"""Seconds for a client that does not read its answer."""
_UCRED = struct.Struct("3i")
_UID = "uid"


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with the peer's uid in place of an address, which unix sockets lack, and with
    time limits for unfinished requests and unread answers: each holds a descriptor and memory.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the peer's uid once, at connect: a socket that is passed on stays its initiator's."""
        self._request = _Limit(self.loop, REQUEST_S, transport.abort)
        self._reading = _Limit(self.loop, READ_S, transport.abort)
        super().connection_made(transport)
        uid = uid_behind(transport.get_extra_info("socket"))
        self.client = None if uid is None else (_UID, uid)
        self._limit_request()

    def data_received(self, data: bytes) -> None:
        """Take bytes of this request, or of the next."""
        super().data_received(data)
        self._limit_request()

    def pause_writing(self) -> None:
        """Start the reading limit: more of an answer waits than the socket takes."""
        super().pause_writing()
        self._reading.start()

    def resume_writing(self) -> None:
        """End the reading limit: the client has read on."""
        super().resume_writing()
        self._reading.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """End both limits with the connection."""
        super().connection_lost(exc)
        self._request.end()
        self._reading.end()

    def _limit_request(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._request.end()
        else:
            self._request.start()


class _Limit:
    """A timer that may be restarted while it runs, and ended while it does not."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, late: Callable[[], None]
    ) -> None:
        self._loop, self._seconds, self._late = loop, seconds, late
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._late)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def uid_behind(connection: socket.socket | None) -> int | None:
    """Return the uid of a unix socket's peer; None for any other socket."""
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])


def uid_of(request: Request) -> int | None:
    """Return the uid of the request's sender; None: not known."""
    client = request.client
    return client.port if client is not None and client.host == _UID else None

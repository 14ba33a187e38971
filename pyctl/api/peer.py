"""Who is at the other end of the API's socket: the kernel says it, not the client.

In: a connection of a unix socket. Out: the peer's uid, as the request's client ("uid", number).
I/O: SO_PEERCRED.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from fastapi import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_UCRED = struct.Struct("3i")
_UID = "uid"


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP, with the peer's uid in place of an address, which unix sockets have none of."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Asked once, when it connects: a socket that is passed on stays its opener's."""
        super().connection_made(transport)
        uid = uid_behind(transport.get_extra_info("socket"))
        self.client = None if uid is None else (_UID, uid)


def uid_behind(connection: socket.socket | None) -> int | None:
    """None where it is no unix socket."""
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])


def uid_of(request: Request) -> int | None:
    """Who sent it; None: not known."""
    client = request.client
    return client.port if client is not None and client.host == _UID else None

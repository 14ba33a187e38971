"""The engine's control socket: one thread, several clients, one request at a time.

In: framed requests. Out: framed answers. I/O: a unix socket of mode 0600; only root and the
engine's own user are heard. Packets never wait for it: they are the C thread's.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import time
from collections import deque
from pathlib import Path

import structlog

from pyctl.engine.process.requests import Answer, Request, Requests, as_segctl_error
from pyctl.engine.protocol import (
    MAX_FDS,
    Decoder,
    Message,
    ProtocolError,
    encode,
    error_body,
)
from pyctl.errors import SegctlError

LOG_SECONDS = 0.1
SEND_SECONDS = 2.0
"""A client that does not read its answer for this long is disconnected."""
MOST_CLIENTS = 32
"""With more clients, the one that was silent for longest is disconnected."""
_READ_BYTES = 1 << 18
_UCRED = struct.Struct("3i")


class _Client:
    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.decoder = Decoder()
        self.fds: deque[int] = deque()
        self.heard = time.monotonic()

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()
        self.socket.close()

    def receive(self) -> list[Message] | None:
        """Return the messages that are complete now; None if the other side is gone."""
        data, fds, flags, _ = socket.recv_fds(self.socket, _READ_BYTES, MAX_FDS)
        self.fds.extend(fds)
        self.heard = time.monotonic()
        if flags & socket.MSG_CTRUNC or len(self.fds) > MAX_FDS:
            raise ProtocolError(f"more than {MAX_FDS} descriptors at once")
        return self.decoder.feed(data) if data else None

    def take_fds(self, message: Message) -> tuple[int, ...]:
        count = message.body.get("fds", 0)
        if type(count) is not int or not 0 <= count <= len(self.fds):
            raise ProtocolError(
                f"the message claims {count!r} descriptors, {len(self.fds)} came"
            )
        return tuple(self.fds.popleft() for _ in range(count))

    def send(self, answer: Answer) -> None:
        body = {"ok": True, **answer.body, "fds": len(answer.fds)}
        self.write(encode(Message(body, answer.blob)), answer.fds)

    def write(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        self.socket.settimeout(SEND_SECONDS)
        sent = socket.send_fds(self.socket, [data], list(fds)) if fds else 0
        self.socket.sendall(data[sent:])
        self.socket.setblocking(False)


class Server:
    """The server of the control socket `path`, until a `stop` request or SIGTERM."""

    def __init__(self, path: Path, requests: Requests) -> None:
        self._requests = requests
        self._log = structlog.get_logger()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._path = path
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(before)
        self._listener.listen(16)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until a `stop` request, SIGTERM or SIGINT. Main thread only."""
        wake, woken = socket.socketpair()
        wake.setblocking(False)
        woken.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(wake.fileno())
        self._selector.register(woken, selectors.EVENT_READ)
        next_log = 0.0
        try:
            while not self._requests.stopping:
                for key, _ in self._selector.select(LOG_SECONDS):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.data, _Client):
                        self._serve_client(key.data)
                if time.monotonic() >= next_log:
                    next_log = time.monotonic() + LOG_SECONDS
                    self._requests.log_events()
        finally:
            signal.set_wakeup_fd(-1)
            self._close()
            wake.close()
            woken.close()

    def _on_signal(self, number: int, _: object) -> None:
        self._log.info("signal", number=number)
        self._requests.stopping = True

    def _close(self) -> None:
        self._path.unlink(missing_ok=True)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Client):
                key.data.close()
        self._listener.close()
        self._selector.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(raw)
        if uid not in (0, os.geteuid()):
            self._log.warning("stranger refused", pid=pid, uid=uid)
            connection.close()
            return
        connection.setblocking(False)
        clients = [
            key.data
            for key in self._selector.get_map().values()
            if isinstance(key.data, _Client)
        ]
        if len(clients) >= MOST_CLIENTS:
            self._drop(min(clients, key=lambda client: client.heard))
        self._selector.register(connection, selectors.EVENT_READ, _Client(connection))

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.socket)
        client.close()

    def _serve_client(self, client: _Client) -> None:
        if client.socket.fileno() < 0:
            # The client was dropped for a newer one in this round.
            return
        try:
            messages = client.receive()
            if messages is None:
                self._drop(client)
                return
            for message in messages:
                self._serve_message(client, message)
        except ProtocolError as error:
            self._log.warning("protocol error", error=str(error))
            with contextlib.suppress(OSError):
                client.write(encode(Message(error_body(error))))
            self._drop(client)
        except OSError as error:
            self._log.debug("client gone", error=str(error))
            self._drop(client)

    def _serve_message(self, client: _Client, message: Message) -> None:
        request = Request(message.body, message.blob, client.take_fds(message))
        try:
            answer = self._requests.answer(request)
        except SegctlError as error:
            self._log.warning(
                "request failed", op=message.body.get("op"), error=str(error)
            )
            client.write(encode(Message(error_body(error))))
        except Exception as error:  # noqa: BLE001 see below
            # Whatever a request does to Python, the packet thread and its rings must live on.
            self._log.exception("request crashed", op=message.body.get("op"))
            client.write(encode(Message(error_body(as_segctl_error(error)))))
        else:
            client.send(answer)

"""An engine that says hello, and leaves every other question without an answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pyctl.engine.protocol import Decoder, Message, encode
from tests.lab.pace import wait_for


class Silent:
    """A process that listens at `path` until its `end`, which breaks off whoever waits for it."""

    pid = 1

    def __init__(self, path: Path) -> None:
        self.says_hello = True
        self._asked: list[str] = []
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(str(path), family=socket.AF_UNIX)
        threading.Thread(target=self._accept, daemon=True).start()

    def is_asked(self, ask: Callable[[], object], op: str) -> None:
        """Somebody asks, and waits for the answer."""
        threading.Thread(target=ask, daemon=True).start()
        wait_for(lambda: op in self._asked)

    def end(self) -> None:
        for one in (self._listener, *self._clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    kill = close = end

    def ended(self, _seconds: float) -> bool:
        return True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(
                    target=self._serve, args=(client,), daemon=True
                ).start()

    def _serve(self, client: socket.socket) -> None:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        hello = {"ok": True, "version": "", "abi": "", "pid": 1}
        with contextlib.suppress(OSError):
            while piece := client.recv(1 << 16):
                (message,) = Decoder().feed(piece)
                self._asked.append(message.body["op"])
                if self.says_hello and self._asked[-1] == "hello":
                    stats = {"heartbeat_ns": now}
                    client.sendall(encode(Message(hello | {"stats": stats})))

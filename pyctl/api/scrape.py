"""The TCP listener for scrapes. No client can block it for more than seconds, or with a few connections.

In: an address, what makes the answer. Out: HTTP answers, each on a connection of its own. I/O: a listener, one
thread that serves all, one that makes the answers.
Clients here are strangers. One that sends half a request or does not read its answer is cut off; where too
many are open, the one that has been silent for longest makes room, so that a scrape gets through.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Mapping

Page = tuple[bytes, str]
"""A body and its content type."""
MOST_OPEN = 64
REQUEST_S = 5.0
"""Seconds from the connection to the end of the request's head."""
ANSWER_S = 20.0
"""Seconds from there to the end of the answer."""
HEAD_BYTES = 16384
FRESH_S = 0.5
"""Seconds for which an answer is reused: a scrape makes the agent look at every port."""


class ScrapeServer:
    """An HTTP server for scrapes; it serves until `close`. Raises OSError where it cannot listen."""

    def __init__(self, host: str, port: int, page: Callable[[str], Page]) -> None:
        """Listen and serve; `page` gives the answer for an Accept header."""
        self._page = page
        self._pages: dict[str, tuple[float, Page]] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._silent: dict[asyncio.Task[None], None] = {}
        """Clients that have not sent their request yet, the oldest first."""
        self._making = asyncio.Lock()
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self._listener = socket.create_server(address[:2], family=family)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scrapes", daemon=True)
        self._ending = asyncio.Event()
        self._thread.start()

    def close(self) -> None:
        """Cut off all clients, and return when the thread has ended. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._connected, sock=self._listener, limit=HEAD_BYTES
        )
        await self._ending.wait()
        server.close()
        for task in self._open:
            task.cancel()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        me = asyncio.current_task()
        if me is None or not self._room():
            writer.transport.abort()
            return
        self._open.add(me)
        self._silent[me] = None
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
            del self._silent[me]
            async with asyncio.timeout(ANSWER_S):
                # Otherwise drain returns while part of the answer waits for a client that does not read.
                writer.transport.set_write_buffer_limits(0)
                writer.write(await self._answer(head))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (
            TimeoutError,
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ):
            pass
        finally:
            self._silent.pop(me, None)
            self._open.discard(me)
            writer.transport.abort()

    def _room(self) -> bool:
        """Return whether one more client may connect; the one silent for longest is cut off for it."""
        if len(self._open) < MOST_OPEN:
            return True
        longest = next(iter(self._silent), None)
        if longest is None:
            return False
        del self._silent[longest]
        self._open.discard(longest)
        return longest.cancel()

    async def _answer(self, head: bytes) -> bytes:
        method, headers = parse_head(head)
        if method not in ("GET", "HEAD"):
            return _message("405 Method Not Allowed", b"", {"Allow": "GET, HEAD"})
        body, content_type = await self._made(headers.get("accept", ""))
        told = {"Content-Type": content_type}
        if "gzip" in headers.get("accept-encoding", ""):
            told["Content-Encoding"] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, 5)
        message = _message("200 OK", body, told)
        return message[: -len(body)] if method == "HEAD" and body else message

    async def _made(self, accept: str) -> Page:
        async with self._making:
            made, page = self._pages.get(accept, (0.0, None))
            if page is None or time.monotonic() - made > FRESH_S:
                page = await asyncio.to_thread(self._page, accept)
                # One is enough: a client may invent any header.
                self._pages = {accept: (time.monotonic(), page)}
            return page


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Return the method and the headers, by lower-case name."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return first.partition(" ")[0], {
        name.strip().lower(): value.strip() for name, _, value in pairs
    }


def _message(status: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    told = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in told.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body

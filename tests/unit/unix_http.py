"""A small HTTP/JSON server on a real unix socket, for everything that talks to one."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

Answerer = Callable[[str, str, Any], tuple[int, Any]]
"""(method, path with query, body) → (HTTP status, answer as JSON; bytes go out as they are)."""


@contextmanager
def serving(path: Path, answer: Answerer) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, told = answer(self.command, self.path, body)
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815  the names of http.server

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    # Its threads are joined at the end, so that an answer under way is still given.
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()

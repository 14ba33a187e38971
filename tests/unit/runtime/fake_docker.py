"""A daemon that answers what Docker's API answers, on a real unix socket."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


@contextmanager
def docker_at(path: Path, answers: dict[str, tuple[int, Any]]) -> Iterator[None]:
    """`answers`: container reference → (HTTP status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = 404, {"message": "No such container"}
            if self.path.endswith("/version"):
                status, body = 200, {"ApiVersion": "1.45", "MinAPIVersion": "1.24"}
            elif "/containers/" in self.path:
                reference = self.path.split("/containers/")[1].removesuffix("/json")
                status, body = answers.get(reference, (status, body))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def inspected(**changes: Any) -> dict[str, Any]:
    """What inspect says of a running container."""
    return {
        "Id": "0123456789abcdef" * 4,
        "Name": "/shop",
        "State": {"Pid": 4242, "Running": True, "Status": "running"},
        "Config": {"Image": "nginx:1", "Labels": {"app": "shop"}},
        **changes,
    }

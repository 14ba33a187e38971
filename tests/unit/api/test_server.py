"""Whatever goes wrong in a handler is told by its name, never by a bare 500."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from pyctl.api.schema.workloads import PREFIX
from pyctl.api.server import create_app


class Broken:
    """An agent of which every look for a workload fails in an unforeseen way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    view = None

    def find(self, _view: None, _ref: str) -> None:
        raise self._error


def ask(agent: Broken) -> tuple[int, dict[str, Any]]:
    """The status and the error of the answer."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": f"{PREFIX}/workloads/web"}
    scope |= {"query_string": b"", "headers": [], "http_version": "1.1"}
    app = create_app(agent, lambda: None)  # type: ignore[arg-type]
    # What nobody foresaw goes on to the server's log, when the answer is sent.
    with contextlib.suppress(KeyError, UnicodeError):
        asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)["error"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("seg_flows4"), "KeyError: 'seg_flows4'"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (
            UnicodeDecodeError("utf-8", b"x\xff", 1, 2, "invalid start byte"),
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte",
        ),
        (KeyError("eth\udcff"), "KeyError: 'eth\\udcff'"),
        (OSError(17, "eth\udcff is there"), "[Errno 17] eth\\xff is there"),
    ],
)
def test_what_nobody_foresaw_is_told_by_class_and_message(error, told):
    status, said = ask(Broken(error))
    assert (status, said["tried"]) == (500, told)
    assert "segctl list" in said["state"]

"""WebSocket is an HTTP/1 request that asks for the upgrade; whatever else asks for another is HTTP."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import Sample, assert_recognised

LINE = b"GET /chat HTTP/1.1\r\nHost: a.example\r\n"
END = b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


@pytest.mark.parametrize(
    "header", [b"Upgrade: websocket\r\n", b"upgrade:WebSocket\r\n", b"UPGRADE: h2c, websocket\r\n"]
)  # fmt: skip
def test_the_upgrade_is_proof(core_module, header):
    assert_recognised(core_module, "WebSocket", Sample(LINE + header + END, SWITCHED))


@pytest.mark.parametrize(
    "asks",
    [
        LINE + b"Upgrade: h2c\r\n" + END,
        LINE + b"X-Upgrade: websocket\r\n" + END,
        LINE + b"Upgrade-Insecure-Requests: websocket\r\n" + END,
        LINE + b"\r\nUpgrade: websocket\r\n" + END,
        LINE.replace(b"GET", b"POST") + b"Upgrade: websocket\r\n" + END,
        LINE.replace(b"chat", b"Upgrade:websocket") + END,
    ],
)
def test_without_it_it_is_http(core_module, asks):
    assert_recognised(core_module, "HTTP", Sample(asks))

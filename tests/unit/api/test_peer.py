"""Who sent a request is what the kernel says."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import pytest
import uvicorn
from fastapi import Request

from pyctl.api import peer
from pyctl.api.peer import PeerProtocol, uid_behind, uid_of


def test_of_a_unix_socket_the_kernel_knows_the_peer():
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert uid_behind(here) == os.geteuid()


def test_of_others_it_does_not():
    with socket.socket(socket.AF_INET) as other:
        assert uid_behind(other) is None
    assert uid_behind(None) is None


@pytest.mark.parametrize(
    ("client", "uid"),
    [(("uid", 1000), 1000), (("localhost", 1000), None), (None, None)],
)
def test_an_address_is_nobody(client, uid):
    assert uid_of(Request({"type": "http", "client": client})) == uid


@pytest.fixture
def served(monkeypatch, tmp_path):
    """A server on a unix socket that answers with a long body."""
    monkeypatch.setattr(peer, "REQUEST_S", 0.1)
    monkeypatch.setattr(peer, "READ_S", 0.1)

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * (64 << 20)})

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    config = uvicorn.Config(app, http=PeerProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    monkeypatch.setattr(server, "capture_signals", contextlib.nullcontext)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield str(tmp_path / "s")
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /v1/sta",
        b"PUT /v1/policy HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    ],
)
def test_half_a_request_ends_with_its_connection(served, said):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(served)
        one.sendall(said)
        while one.recv(1 << 20):
            pass


def test_an_answer_that_nobody_reads_ends_with_its_connection(served):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(served)
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert one.recv(1, socket.MSG_PEEK)
        # Their own limits are as long, and began later.
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(10)
                other.connect(served)
                assert other.recv(1) == b""
        assert received(one) < 64 << 20


def received(connection):
    return sum(map(len, iter(lambda: connection.recv(1 << 20), b"")))

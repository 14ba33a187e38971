"""Scrapes are answered, whatever other clients do with their connections."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading

import pytest

from pyctl.api import scrape
from pyctl.api.scrape import ScrapeServer, parse_head
from tests.lab.pace import wait_for


def port_of(server: ScrapeServer) -> int:
    return int(server._listener.getsockname()[1])


BODY = b"segctl_engine_up 1\n" * 1000


@pytest.fixture
def server():
    made = ScrapeServer("localhost", 0, lambda accept: (BODY, accept or "text/plain"))
    yield made
    made.close()


def scraped(server, method="GET", **headers):
    connection = http.client.HTTPConnection("localhost", port_of(server), timeout=10)
    connection.request(method, "/metrics", headers=headers)
    answer = connection.getresponse()
    return answer, answer.read()


def connected(server, said=b""):
    made = socket.create_connection(("localhost", port_of(server)), timeout=10)
    made.sendall(said)
    return made


def test_a_scrape_is_answered_as_it_asks(server):
    answer, body = scraped(server, Accept="application/openmetrics-text")
    assert (answer.status, body) == (200, BODY)
    assert answer.headers["Content-Type"] == "application/openmetrics-text"
    packed, body = scraped(server, **{"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == BODY
    assert scraped(server, "HEAD")[1] == b""
    assert scraped(server, "POST")[0].status == 405


def test_half_requests_keep_no_thread_and_nobody_out(server):
    before = threading.active_count()
    held = [connected(server, b"GET / HTTP/1.1\r\nX: ") for _ in range(200)]
    assert scraped(server)[1] == BODY
    assert threading.active_count() <= before + 2
    # The first ones have made room for the others.
    assert held[0].recv(1) == b""
    for one in held:
        one.close()


def test_who_says_half_a_request_is_cut_off_after_a_while(monkeypatch):
    monkeypatch.setattr(scrape, "REQUEST_S", 0.05)
    server = ScrapeServer("localhost", 0, lambda _: (BODY, "text/plain"))
    with connected(server, b"GET / HTTP/1.1\r\n") as one:
        assert one.recv(1) == b""
    server.close()


def test_who_reads_no_answer_is_cut_off_and_whoever_asks_too_much_too(monkeypatch):
    monkeypatch.setattr(scrape, "ANSWER_S", 0.2)
    server = ScrapeServer("localhost", 0, lambda _: (b"x" * (64 << 20), "text/plain"))
    with connected(server, b"GET / HTTP/1.1\r\n\r\n") as one:
        wait_for(lambda: server._open)
        wait_for(lambda: not server._open)
        assert sum(map(len, iter(lambda: one.recv(1 << 20), b""))) < 64 << 20
    with connected(server, b"x" * 2 * scrape.HEAD_BYTES) as other:
        assert other.recv(1) == b""
    server.close()


def test_the_end_waits_for_nobody(server):
    with connected(server, b"GET") as one:
        # Connections are taken in their order.
        scraped(server)
        server.close()
        assert one.recv(1) == b""


def test_an_address_that_is_taken_is_an_error(server):
    with pytest.raises(OSError, match="in use"):
        ScrapeServer("localhost", port_of(server), lambda _: (BODY, "text/plain"))


def test_a_head_is_read_as_far_as_it_makes_sense():
    assert parse_head(b"GET / HTTP/1.1\r\nAccept:  a\r\nodd\r\n\r\n") == (
        "GET",
        {"accept": "a", "odd": ""},
    )
    assert parse_head(b"\r\n\r\n") == ("", {})

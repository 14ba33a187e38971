"""A server's side of HTTP/1 as the strictest client reads it: bodies, pairs with requests, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engine.core.answers import (
    BROTLI,
    CODED,
    DEFLATE,
    GZIP,
    Answer,
    Server,
    expect,
    read,
)
from tests.unit.engine.core.http1 import OTHER, TUNNEL, WEBSOCKET

OK = b"HTTP/1.1 200 OK\r\n"


def answer(*lines: bytes, first: bytes = OK, body: bytes = b"") -> bytes:
    return first + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def status(line: bytes) -> bytes:
    return b"HTTP/1.1 " + line + b"\r\n"


LENGTH = answer(b"Server: nginx", b"Content-Length: 5", body=b"hello")
CHUNKS = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n"
CHUNKED = answer(b"Transfer-Encoding: chunked", body=CHUNKS)
CASES = {
    "a length": (LENGTH, ["GET"], [Answer(200, b"hello")]),
    "no bytes": (answer(b"Content-Length: 0"), ["GET"], [Answer(200)]),
    "two equal lengths": (
        answer(b"Content-Length: 2", b"Content-Length: 2", body=b"ab"),
        ["GET"],
        [Answer(200, b"ab")],
    ),
    "chunks": (CHUNKED, ["GET"], [Answer(200, b"abc0123456789", chunked=True)]),
    "to the end": (
        answer(b"Connection: close", body=b"all\r\n\r\nHTTP/1.1 200"),
        ["GET"],
        [Answer(200, b"all\r\n\r\nHTTP/1.1 200", whole=False)],
    ),
    "1.0": (
        answer(first=b"HTTP/1.0 200 OK\r\n", body=b"x"),
        ["GET"],
        [Answer(200, b"x", whole=False)],
    ),
    "no reason": (
        answer(b"Content-Length: 0", first=b"HTTP/1.1 404\r\n"),
        ["GET"],
        [Answer(404)],
    ),
    "an empty reason": (
        answer(b"Content-Length: 0", first=status(b"200 ")),
        ["GET"],
        [Answer(200)],
    ),
    "204": (answer(first=status(b"204 No Content")), ["GET"], [Answer(204)]),
    "304 with a length": (
        answer(b"Content-Length: 500", first=status(b"304 Not Modified")),
        ["GET"],
        [Answer(304)],
    ),
    "HEAD": (
        answer(b"Content-Length: 500") + LENGTH,
        ["HEAD", "GET"],
        [Answer(200), Answer(200, b"hello")],
    ),
    "HEAD in chunks": (
        answer(b"Transfer-Encoding: chunked") + LENGTH,
        ["HEAD", "GET"],
        [Answer(200), Answer(200, b"hello")],
    ),
    "HEAD behind GET": (
        LENGTH + answer(b"Content-Length: 7"),
        ["GET", "HEAD"],
        [Answer(200, b"hello"), Answer(200)],
    ),
    "interim": (
        answer(first=status(b"100 Continue"))
        + answer(b"Link: </a>", first=status(b"103 Early Hints"))
        + LENGTH,
        ["POST"],
        [Answer(100), Answer(103), Answer(200, b"hello")],
    ),
    "pipelined": (
        LENGTH + CHUNKED + answer(first=status(b"304 x")) + LENGTH,
        ["GET"] * 4,
        [
            Answer(200, b"hello"),
            Answer(200, b"abc0123456789", chunked=True),
            Answer(304),
            Answer(200, b"hello"),
        ],
    ),
    "unasked": (
        answer(
            b"Content-Length: 0", b"Connection: close", first=status(b"408 Timeout")
        ),
        [],
        [Answer(408)],
    ),
    "websocket": (
        answer(b"Upgrade: websocket", first=status(b"101 Switching"))
        + b"\x81\x05hello",
        [("GET", WEBSOCKET)],
        [Answer(101, switches=True)],
    ),
    "an upgrade declined": (LENGTH, [("GET", OTHER)], [Answer(200, b"hello")]),
    "CONNECT": (
        answer(b"Content-Length: 5", first=status(b"200 Established"))
        + b"\x16\x03\x01",
        [("CONNECT", TUNNEL)],
        [Answer(200, switches=True)],
    ),
    "CONNECT declined": (
        answer(b"Content-Length: 2", first=status(b"403 No"), body=b"no"),
        [("CONNECT", TUNNEL)],
        [Answer(403, b"no")],
    ),
    "gzip": (
        answer(b"Content-Encoding: GZIP", b"Content-Length: 1", body=b"x"),
        ["GET"],
        [Answer(200, b"x", coding=GZIP)],
    ),
    "x-gzip and identity": (
        answer(
            b"Content-Encoding: identity, x-gzip ,", b"Content-Length: 1", body=b"x"
        ),
        ["GET"],
        [Answer(200, b"x", coding=GZIP)],
    ),
    "deflate": (
        answer(b"content-encoding:deflate", b"Content-Length: 1", body=b"x"),
        ["GET"],
        [Answer(200, b"x", coding=DEFLATE)],
    ),
    "br": (
        answer(b"Content-Encoding: br", b"Content-Length: 1", body=b"x"),
        ["GET"],
        [Answer(200, b"x", coding=BROTLI)],
    ),
    "two codings": (
        answer(
            b"Content-Encoding: gzip",
            b"Content-Encoding: br",
            b"Content-Length: 1",
            body=b"x",
        ),
        ["GET"],
        [Answer(200, b"x", coding=CODED)],
    ),
    "an unknown coding": (
        answer(b"Content-Encoding: zstd", b"Content-Length: 1", body=b"x"),
        ["GET"],
        [Answer(200, b"x", coding=CODED)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_servers_send_is_read_however_it_is_cut(core_module, name):
    data, requests, wanted = CASES[name]
    assert read(core_module, data, requests) == wanted
    for cut in range(1, len(data)):
        assert read(core_module, data, requests, [cut]) == wanted, cut
    assert read(core_module, data, requests, range(1, len(data))) == wanted


WRONG = {
    "no answer": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/2": answer(first=b"HTTP/2 200 OK\r\n"),
    "HTTP/1.2": answer(first=b"HTTP/1.2 200 OK\r\n"),
    "lower case": answer(first=b"http/1.1 200 OK\r\n"),
    "two spaces": answer(first=b"HTTP/1.1  200 OK\r\n"),
    "two digits": answer(first=b"HTTP/1.1 20 OK\r\n"),
    "four digits": answer(first=b"HTTP/1.1 2000 OK\r\n"),
    "99": answer(first=status(b"099 OK")),
    "600": answer(first=status(b"600 OK")),
    "a control in the reason": answer(first=status(b"200 O\x01K")),
    "two lengths": answer(b"Content-Length: 3", b"Content-Length: 4"),
    "a list of lengths": answer(b"Content-Length: 3, 3"),
    "a length with a sign": answer(b"Content-Length: +3"),
    "a negative length": answer(b"Content-Length: -3"),
    "an empty length": answer(b"Content-Length:"),
    "two framings": answer(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "two framings, turned": answer(b"Transfer-Encoding: chunked", b"Content-Length: 3"),
    "gzip as transfer": answer(b"Transfer-Encoding: gzip, chunked"),
    "identity as transfer": answer(b"Transfer-Encoding: identity"),
    "chunks in 1.0": answer(
        b"Transfer-Encoding: chunked", first=b"HTTP/1.0 200 OK\r\n"
    ),
    "a folded header": answer(b"X: a\r\n b"),
    "a space before a colon": answer(b"Content-Length : 3"),
    "no colon": answer(b"Content-Length"),
    "a bare CR": answer(b"X: a\rb"),
    "a bare LF": OK + b"X: a\nContent-Length: 3\r\n\r\n",
    "only LF": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "an empty line before": b"\r\n" + LENGTH,
    "101 unasked": answer(first=status(b"101 Switching")),
    "a chunk without a size": answer(b"Transfer-Encoding: chunked", body=b"\r\nabc"),
    "a chunk of no number": answer(b"Transfer-Encoding: chunked", body=b"x\r\nabc"),
    "a chunk with a sign": answer(b"Transfer-Encoding: chunked", body=b"-1\r\nabc"),
    "a chunk with LF": answer(b"Transfer-Encoding: chunked", body=b"3\nabc"),
    "a chunk too long": answer(b"Transfer-Encoding: chunked", body=b"3\r\nabcd\r\n"),
    "an endless chunk": answer(b"Transfer-Encoding: chunked", body=b"f" * 16 + b"\r\n"),
    "a framing in trailers": answer(
        b"Transfer-Encoding: chunked", body=b"0\r\nContent-Length: 3\r\n\r\n"
    ),
    "a head without end": OK + b"X: " + b"a" * 70_000,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_clients_may_read_differently_is_refused(core_module, name):
    data = WRONG[name]
    assert read(core_module, data, ["GET", "GET"]) is None
    for cut in range(1, min(len(data), 200)):
        assert read(core_module, data, ["GET", "GET"], [cut]) is None, cut


def test_an_answer_behind_one_to_the_end_is_its_body(core_module):
    data = answer(body=b"a") + LENGTH
    (found,) = read(core_module, data, ["GET", "GET"]) or [None]
    assert found.body == b"a" + LENGTH


def test_too_many_requests_at_once_are_refused(core_module):
    reader = core_module.ffi.new("struct sg_http_answers *")
    assert [expect(core_module, reader, "GET") for _ in range(65)] == [0] * 64 + [-1]


def test_requests_come_while_answers_are_read(core_module):
    """The sixty-fourth HEAD is known as well as the first, however many came before."""
    server = Server(core_module)
    for number in range(300):
        head = number % 3 == 0
        assert expect(core_module, server.reader, "HEAD" if head else "GET") == 0
        server.says(answer(b"Content-Length: 5", body=b"" if head else b"hello"))
    assert not server.is_wrong
    bodies = [one.body for one in server.found]
    assert bodies == [b"" if number % 3 == 0 else b"hello" for number in range(300)]


@given(
    st.lists(
        st.sampled_from(
            sorted(set(CASES) - {"to the end", "1.0", "websocket", "CONNECT"})
        ),
        max_size=6,
    ),
    st.lists(st.integers(0, 900), max_size=4),
)
def test_answers_in_a_row_are_those_one_by_one(core_module, names, cuts):
    data = b"".join(CASES[name][0] for name in names)
    requests = [one for name in names for one in CASES[name][1]]
    wanted = [one for name in names for one in CASES[name][2]]
    if "unasked" in names:
        requests = requests[:0] if set(names) == {"unasked"} else requests
    if "unasked" in names and requests:
        return
    found = read(
        core_module, data, requests, sorted(cut for cut in cuts if cut < len(data))
    )
    assert found == wanted


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_read_alike_however_they_are_cut(core_module, data, cut):
    data = answer(b"Transfer-Encoding: chunked") + data
    cuts = [min(cut, len(data))]
    assert read(core_module, data, ["GET"]) == read(core_module, data, ["GET"], cuts)

"""HTTP/1 as the strictest server reads it: requests, bodies, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.policy.document.conditions.http import readings
from tests.unit.engine.core.http1 import (
    HTTP2,
    OTHER,
    STAYS,
    TUNNEL,
    WEBSOCKET,
    Request,
    read,
)

HOST = b"Host: a.example\r\n"
GET = Request("GET", "a.example", ("/",))
CURL = (
    b"GET /api/v1?q=1 HTTP/1.1\r\nHost: a.example:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    Request("GET", "a.example", ("/api/v1",)),
)
WGET = (
    (
        b"GET /a.html HTTP/1.1\r\nUser-Agent: Wget/1.21.3\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        b"Host: [2001:DB8::1]:80\r\nConnection: Keep-Alive\r\n\r\n"
    ),
    Request("GET", "[2001:db8::1]", ("/a.html",)),
)
BROWSER = (
    (
        b"GET /search/%E2%82%AC HTTP/1.1\r\nHost: www.Example.org.\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
        b'Accept: text/html;q=0.9,*/*;q=0.8\r\nCookie: a=b; c="d"\r\nX-Empty:\r\nX-Latin: caf\xe9\r\n'
        b'Sec-Ch-Ua: "Chromium";v="118"\r\nUpgrade-Insecure-Requests: 1\r\nConnection: keep-alive\r\n\r\n'
    ),
    Request("GET", "www.example.org", ("/search/%E2%82%AC",)),
)
POST = (
    b"POST /form HTTP/1.1\r\n"
    + HOST
    + b"Expect: 100-continue\r\nContent-Length: 11\r\n\r\nGET / HTTP/",
    Request("POST", "a.example", ("/form",), 11),
)
CHUNKED = (
    b"PUT /up HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    b'5\r\nGET /\r\n0A;name="v"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n',
    Request("PUT", "a.example", ("/up",), "chunked"),
)
OLD = (b"HEAD /x HTTP/1.0\r\n\r\n", Request("HEAD", "", ("/x",)))
ABSOLUTE = (
    b"GET http://A.example?q HTTP/1.1\r\n" + HOST + b"\r\n",
    Request("GET", "a.example", ("/",)),
)
STAR = (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", Request("OPTIONS", "a.example", ()))
CONNECT = (
    b"CONNECT db.example:443 HTTP/1.1\r\nHost: db.example:443\r\n\r\n",
    Request("CONNECT", "db.example", (), 0, TUNNEL),
)
SOCKET = (
    b"GET /chat HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    Request("GET", "a.example", ("/chat",), 0, WEBSOCKET, "WebSocket"),
)
H2C = (
    b"GET / HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
    Request("GET", "a.example", ("/",), 0, HTTP2),
)
TWICE = (
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    Request("POST", "a.example", ("/",), 2),
)
BENIGN = {
    "curl": CURL,
    "wget": WGET,
    "browser": BROWSER,
    "post": POST,
    "chunked": CHUNKED,
    "old": OLD,
    "absolute": ABSOLUTE,
    "star": STAR,
    "connect": CONNECT,
    "websocket": SOCKET,
    "h2c": H2C,
    "twice": TWICE,
}


def get(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> bytes:
    return first + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def asks(path: str) -> bytes:
    return get(first=b"GET " + path.encode("latin-1") + b" HTTP/1.1")


@pytest.mark.parametrize("name", BENIGN)
def test_what_clients_send_is_read_however_it_is_cut(core_module, name):
    data, request = BENIGN[name]
    assert read(core_module, data) == [request]
    for cut in range(1, len(data)):
        assert read(core_module, data, [cut]) == [request], cut
    assert read(core_module, data, range(1, len(data))) == [request]


def test_requests_in_a_row_are_read_however_they_are_cut(core_module):
    data = b"".join(data for data, _request in BENIGN.values())
    found = [request for _data, request in BENIGN.values()]
    for cut in range(1, len(data)):
        assert read(core_module, data, [cut]) == found, cut


def test_an_empty_line_before_a_request_is_left_out(core_module):
    assert read(core_module, b"\r\n\r\n" + get() + b"\r\n" + get()) == [GET, GET]


WRONG = {
    "two framings": get(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "two framings, turned": get(b"Transfer-Encoding: chunked", b"Content-Length: 3"),
    "two lengths": get(b"Content-Length: 3", b"Content-Length: 4"),
    "a list of lengths": get(b"Content-Length: 3, 3"),
    "a length with a sign": get(b"Content-Length: +3"),
    "a negative length": get(b"Content-Length: -3"),
    "a length in hex": get(b"Content-Length: 0x3"),
    "an endless length": get(b"Content-Length: " + b"9" * 19),
    "an empty length": get(b"Content-Length:"),
    "two codings": get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "another coding": get(b"Transfer-Encoding: gzip, chunked"),
    "a misspelt coding": get(b"Transfer-Encoding: xchunked"),
    "an identity": get(b"Transfer-Encoding: identity"),
    "a coding with a vertical tab": get(b"Transfer-Encoding: \x0bchunked"),
    "a folded coding": get(b"Transfer-Encoding:\r\n chunked"),
    "a coding in 1.0": get(b"Transfer-Encoding: chunked", first=b"GET / HTTP/1.0"),
    "a folded header": get(b"X: a\r\n b"),
    "a header that begins with a tab": get(b"\tX: a"),
    "a first header that begins with a space": get(host=b" " + HOST),
    "a space before a colon": get(b"Content-Length : 3"),
    "a tab before a colon": get(b"Content-Length\t: 3"),
    "no name": get(b": a"),
    "no colon": get(b"Host"),
    "a bare CR in a value": get(b"X: a\rb"),
    "a bare CR in a name": get(b"X\r: a"),
    "a bare LF": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "only LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "a NUL in a value": get(b"X: a\0b"),
    "a NUL in a name": get(b"X\0: a"),
    "no Host": b"GET / HTTP/1.1\r\nX: a\r\n\r\n",
    "two Hosts": get(b"Host: b"),
    "the same Host twice": get(b"Host: a.example"),
    "a Host with a user": get(host=b"Host: a@b\r\n"),
    "a Host with a slash": get(host=b"Host: a/b\r\n"),
    "a Host with a space": get(host=b"Host: a b\r\n"),
    "a Host with two ports": get(host=b"Host: a:80:80\r\n"),
    "a Host with a comma": get(host=b"Host: a,b\r\n"),
    "a Host with half a bracket": get(host=b"Host: [::1\r\n"),
    "a target of another host": get(first=b"GET http://b/ HTTP/1.1"),
    "a target with a user": get(first=b"GET http://x@a.example/ HTTP/1.1"),
    "a target without a host": get(first=b"GET http:///x HTTP/1.1", host=b"Host:\r\n"),
    "a target of another scheme": get(first=b"GET file:///etc HTTP/1.1"),
    "a target without a slash": get(first=b"GET api HTTP/1.1"),
    "a target of CONNECT": get(first=b"GET a.example:443 HTTP/1.1"),
    "a star": get(first=b"GET * HTTP/1.1"),
    "CONNECT to a path": get(first=b"CONNECT /x HTTP/1.1"),
    "CONNECT without a port": get(first=b"CONNECT a.example HTTP/1.1"),
    "CONNECT to another host": get(first=b"CONNECT b.example:443 HTTP/1.1"),
    "CONNECT with a body": get(
        b"Content-Length: 3", first=b"CONNECT a.example:1 HTTP/1.1"
    ),
    "a fragment": asks("/a#b"),
    "a path with an encoded NUL": asks("/a%00b"),
    "a path with an encoded CR": asks("/a%0d"),
    "a path with a twice encoded NUL": asks("/a%2500b"),
    "a path with half an encoding": asks("/a%2"),
    "a path with no encoding": asks("/a%zz"),
    "an overlong slash": asks("/a%c0%afb"),
    "one of three bytes": asks("/a%e0%80%afb"),
    "one of four": asks("/a%f0%80%80%afb"),
    "one that is encoded twice": asks("/a%25e0%2580%25afb"),
    "a path that is too long": asks("/" + "a" * 8192),
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "another version": get(first=b"GET / HTTP/1.2"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version in small letters": get(first=b"GET / http/1.1"),
    "words behind the version": get(first=b"GET / HTTP/1.1 x"),
    "two spaces": get(first=b"GET  / HTTP/1.1"),
    "two spaces before the version": get(first=b"GET /  HTTP/1.1"),
    "a tab": get(first=b"GET\t/ HTTP/1.1"),
    "a space in front": b" " + get(),
    "a tab in a target": asks("/a\tb"),
    "a method in small letters": get(first=b"get / HTTP/1.1"),
    "a long method": get(first=b"G" * 33 + b" / HTTP/1.1"),
    "an answer": b"HTTP/1.1 200 OK\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "a WebSocket's frame": b"\x81\x85\x00\x00\x00\x00",
    "an endless head": get(b"X: " + b"a" * 65536),
    "an endless line": b"GET /" + b"a" * 65536,
    "a CR alone": b"\rGET",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_servers_may_read_differently_is_refused_however_it_is_cut(
    core_module, name
):
    data = WRONG[name]
    assert read(core_module, data) is None
    step = max(1, len(data) // 200)
    for cut in range(1, len(data), step):
        assert read(core_module, data, [cut]) is None, cut
    assert read(core_module, get() + data) is None
    if len(data) < 300:
        assert read(core_module, data, range(1, len(data))) is None


CHUNKS = {
    "no size": b"\r\n",
    "no digit": b"x\r\n",
    "a space": b"5 \r\nabcde\r\n0\r\n\r\n",
    "a space in front": b" 5\r\nabcde\r\n0\r\n\r\n",
    "a sign": b"+5\r\nabcde\r\n0\r\n\r\n",
    "hex with its prefix": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "too many digits": b"0" * 16 + b"\r\n\r\n",
    "a bare LF": b"5\nabcde\r\n0\r\n\r\n",
    "a bare LF in an extension": b"5;a\nabcde\r\n0\r\n\r\n",
    "a bare CR in an extension": b"5;a\rb\r\nabcde\r\n0\r\n\r\n",
    "a NUL in an extension": b"5;\0\r\nabcde\r\n0\r\n\r\n",
    "an endless extension": b"5;" + b"a" * 1100,
    "more bytes than the size": b"5\r\nabcdef\r\n0\r\n\r\n",
    "only LF behind a chunk": b"5\r\nabcde\n0\r\n\r\n",
    "only LF at the end": b"0\r\n\n",
    "a framing in a trailer": b"0\r\nContent-Length: 5\r\n\r\n",
    "a Host in a trailer": b"0\r\nHost: b\r\n\r\n",
    "no trailer": b"0\r\nGET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_that_servers_may_read_differently_are_refused(core_module, name):
    data = get(b"Transfer-Encoding: chunked") + CHUNKS[name]
    assert read(core_module, data) is None
    for cut in range(1, len(data)):
        assert read(core_module, data, [cut]) is None, cut


PATHS = {
    "/": ("/",),
    "/a": ("/a",),
    "/a/": ("/a/",),
    "/a/b?c/../d": ("/a/b",),
    "/%61dmin": ("/admin",),
    "/%41%7e%2d": ("/A~-",),
    "/a%40b": ("/a@b",),
    "/a%20b": ("/a%20b",),
    "/caf\xc3\xa9": ("/caf%C3%A9",),
    "/caf%c3%a9": ("/caf%C3%A9",),
    "//admin": ("/admin",),
    "/a//b/": ("/a/b/",),
    "/api/../admin": ("/admin", "/api/../admin"),
    "/api/%2e%2E/admin": ("/admin", "/api/../admin"),
    "/api/./x": ("/api/x", "/api/./x"),
    "/api/x/..": ("/api/", "/api/x/.."),
    "/api/.": ("/api/", "/api/."),
    "/../../x": ("/x", "/../../x"),
    "/..": ("/", "/.."),
    "/...": ("/...",),
    "/.well-known/x": ("/.well-known/x",),
    "/api/..%2fadmin": ("/api/..%2Fadmin", "/admin"),
    "/g%2Fp/x": ("/g%2Fp/x", "/g/p/x"),
    "/api%5c..%5cadmin": ("/api%5C..%5Cadmin", "/admin"),
    "/api\\..\\admin": ("/api%5C..%5Cadmin", "/admin"),
    "/api/..;/admin": ("/api/..;/admin", "/admin"),
    "/a;v=1/b;w": ("/a;v=1/b;w", "/a/b"),
    "/a%3bb/c": ("/a%3Bb/c", "/a/c"),
    "/api/%252e%252e/admin": ("/api/%252e%252e/admin", "/admin"),
    "/100%25": ("/100%25",),
    "/api/%252e%252e%252fadmin": ("/api/%252e%252e%252fadmin", "/admin"),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_has_a_reading_for_each_way_in_which_servers_read_it(core_module, path):
    (found,) = read(core_module, asks(path))
    assert found.paths == PATHS[path]


@pytest.mark.parametrize("path", PATHS)
def test_paths_are_read_alike_by_policy_test(core_module, path):
    if any(ord(one) > 127 for one in path):
        path = path.encode("latin-1").decode()
        sent = path.encode().decode("latin-1")
    else:
        sent = path
    (found,) = read(core_module, asks(sent))
    assert readings(path) == found.paths


def test_hosts_are_compared_as_names(core_module):
    (found,) = read(core_module, get(first=b"GET http://A.EXAMPLE.:80/x HTTP/1.1"))
    assert (found.host, found.paths, found.becomes) == ("a.example", ("/x",), STAYS)
    assert read(core_module, get(host=b"Host:\r\n"))[0].host == ""


def test_several_upgrades_are_no_websocket(core_module):
    for lines in (
        [b"Upgrade: websocket", b"Upgrade: h2c"],
        [b"Upgrade: websocket, h2c"],
        [b"Upgrade: websocket", b"Content-Length: 3"],
    ):
        assert read(core_module, get(*lines))[0].becomes == OTHER


TOKENS = st.from_regex(re.compile(r"[A-Za-z0-9-]{1,12}", re.ASCII), fullmatch=True)
VALUES = st.from_regex(
    re.compile(r"[!-~]([ -~\t]{0,20}[!-~])?", re.ASCII), fullmatch=True
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "M-SEARCH", "PROPFIND"])
SEGMENTS = st.from_regex(re.compile(r"[A-Za-z0-9._~-]{1,8}", re.ASCII), fullmatch=True)
FRAMES = {"host", "content-length", "transfer-encoding", "upgrade"}


@st.composite
def messages(draw: Any) -> tuple[bytes, Request]:
    """A request as a client may write it, and what is to be read of it."""
    method, host = draw(METHODS), draw(st.sampled_from(["a", "a.b-c.d", "[::1]"]))
    segments = draw(st.lists(SEGMENTS.filter(lambda s: s.strip(".")), max_size=4))
    path = "/" + "/".join(segments)
    query = draw(st.sampled_from(["", "?", "?a=/../b", "?%zz\\"]))
    headers = draw(
        st.lists(
            st.tuples(TOKENS.filter(lambda n: n.lower() not in FRAMES), VALUES),
            max_size=5,
        )
    )
    lines = [
        f"{name}:{draw(st.sampled_from(['', ' ', ' ' * 3]))}{value}"
        for name, value in headers
    ]
    body: bytes | list[bytes] | None = draw(
        st.one_of(
            st.none(),
            st.binary(max_size=40),
            st.lists(st.binary(min_size=1, max_size=20), max_size=4),
        )
    )
    sent, told = b"", 0
    if isinstance(body, bytes):
        lines.append(f"content-LENGTH: {len(body)}")
        sent, told = body, len(body)
    elif body is not None:
        lines.append("Transfer-encoding: Chunked")
        sent = (
            b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in body)
            + b"0\r\n\r\n"
        )
        told = "chunked"
    lines.insert(draw(st.integers(0, len(lines))), f"Host: {host}:80")
    head = (
        f"{method} {path}{query} HTTP/1.1\r\n"
        + "".join(line + "\r\n" for line in lines)
        + "\r\n"
    )
    return head.encode() + sent, Request(method, host, (path,), told)


@given(st.lists(messages(), min_size=1, max_size=4), st.data())
def test_whatever_clients_may_send_is_read_as_it_was_written(core_module, sent, data):
    whole = b"".join(message for message, _request in sent)
    cuts = sorted(data.draw(st.lists(st.integers(1, len(whole)), max_size=6)))
    assert read(core_module, whole, cuts) == [request for _message, request in sent]


@given(st.lists(messages(), min_size=1, max_size=2), st.data())
def test_a_changed_byte_is_read_alike_however_it_is_cut(core_module, sent, data):
    whole = bytearray(b"".join(message for message, _request in sent))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.sampled_from([0, 9, 10, 13, 32, 37, 47, 58, 92, 127, 255]))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(whole)), max_size=6)))
    assert read(core_module, bytes(whole), cuts) == read(core_module, bytes(whole))

"""Requests taken apart as their bytes come: the same parts at every cut."""

from __future__ import annotations

from typing import Any

import pytest

MORE, OVER, WRONG = range(3)
TARGET, HEADERS, BODY = range(3)


def parts(
    module: Any, data: bytes, cut: int = 0
) -> tuple[int, list[tuple[int, bytes]]]:
    """What it said, and each part that ended, or has begun."""
    ffi, lib = module.ffi, module.lib
    state = ffi.new("struct sg_http_parts *")
    found: list[list[Any]] = []

    @ffi.callback("int(void *, enum sg_http_part, const uint8_t *, uint32_t, int)")
    def is_part(_ctx, part, at, length, ends):
        if not found or found[-1][2] or found[-1][0] != part:
            found.append([part, b"", False])
        found[-1][1] += bytes(ffi.buffer(at, length))
        found[-1][2] = bool(ends)
        return 0

    for one in (data[:cut], data[cut:]):
        given = ffi.new("uint8_t[]", one or b"\0")
        said = lib.sg_http_parts_read(state, given, len(one), is_part, ffi.NULL)
    return said, [(part, text) for part, text, _ in found]


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line, *headers, b"", body))


GET = request(b"GET /a?b=c HTTP/1.1", b"Host: x")
PUT = request(b"PUT /p HTTP/1.1", b"Content-Length: 5", body=b"hello")
CHUNKED = request(
    b"POST /c HTTP/1.1",
    b"Transfer-Encoding: chunked",
    body=b"3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nT: v\r\n\r\n",
)
HEAD = (HEADERS, b"Host: x\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "said", "wanted"),
    [
        (GET + GET, MORE, [(TARGET, b"/a?b=c"), HEAD] * 2),
        (
            PUT + GET,
            MORE,
            [
                (TARGET, b"/p"),
                (HEADERS, b"Content-Length: 5\r\n\r\n"),
                (BODY, b"hello"),
                (TARGET, b"/a?b=c"),
                HEAD,
            ],
        ),
        (
            CHUNKED + GET,
            MORE,
            [
                (TARGET, b"/c"),
                (HEADERS, b"Transfer-Encoding: chunked\r\n\r\n"),
                (BODY, b"abcdefg"),
                (HEADERS, b"T: v\r\n\r\n"),
                (TARGET, b"/a?b=c"),
                HEAD,
            ],
        ),
        (b"\r\n\r\n" + GET, MORE, [(TARGET, b"/a?b=c"), HEAD]),
        (
            GET.replace(b"\r\n", b"\n"),
            MORE,
            [(TARGET, b"/a?b=c"), (HEADERS, b"Host: x\n\n")],
        ),
    ],
    ids=["pipelined", "length", "chunked", "empty lines", "bare LF"],
)
def test_parts_are_the_same_at_every_cut(core_module, data, said, wanted):
    for cut in range(len(data) + 1):
        assert parts(core_module, data, cut) == (said, wanted), cut


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n",
        b"MAIL FROM:<a@b>\r\n",
        b"\x16\x03\x01\x02",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /index.html\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        request(b"CONNECT a:1 HTTP/1.1") + b"\x16\x03",
        request(b"GET /ws HTTP/1.1", b"Upgrade: websocket") + b"\x81\x85",
    ],
)
def test_what_is_no_http_or_no_more_has_no_parts(core_module, data):
    assert {parts(core_module, data, cut)[0] for cut in range(len(data))} == {OVER}


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding : chunked",),
        (b"Content-Length: +5",),
        (b"Content-Length: 99999999999999999999",),
        (b"A: b", b" folded: c"),
        (b"no colon",),
    ],
)
def test_what_servers_may_frame_differently_is_wrong(core_module, headers):
    data = request(b"POST / HTTP/1.1", *headers)
    assert {parts(core_module, data, cut)[0] for cut in range(len(data))} == {WRONG}


@pytest.mark.parametrize("size", [b"g", b"-1", b"", b"0x5", b"5 "])
def test_a_chunk_without_a_size_is_wrong(core_module, size):
    head = request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")
    assert parts(core_module, head + size + b"\r\nhello\r\n")[0] == WRONG


def test_the_same_length_twice_is_one(core_module):
    data = request(b"PUT / HTTP/1.1", *[b"Content-Length: 2"] * 2, body=b"ok")
    assert parts(core_module, data)[1][-1] == (BODY, b"ok")

"""HTTP/1 is known by its request line, to its last byte."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    Sample,
    assert_recognised,
    told,
)

END = b"Host: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET /\xc3\xa9?q=%20&x=[] HTTP/1.0\r\n",
        b"POST http://a.example/x HTTP/1.1\r\n",
        b"CONNECT a.example:443 HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"M-SEARCH * HTTP/1.1\r\n",
        b"brew /pot HTTP/1.1\r\n",
    ],
)
def test_a_request_line_is_proof(core_module, line):
    assert_recognised(core_module, "HTTP", Sample(line + END, OK))


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\r\n",
        b"GET / HTTP/1.1\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"GET /\t HTTP/1.1\r\n",
        b" GET / HTTP/1.1\r\n",
        b"G(T / HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.1x\r\n",
        b"GET / http/1.1\r\n",
        b"GET / RTSP/1.0\r\n",
        b"A" * 33 + b" / HTTP/1.1\r\n",
    ],
)
def test_what_is_like_one_is_none(core_module, line):
    assert told(core_module, Sample(line + END))[0] != "HTTP"
    assert CERTAIN not in told(core_module, Sample(line + END, OK))


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.0 404 \r\n", True),
        (b"HTTP/1.1 20 OK\r\n", False),
        (b"HTTP/1.1  200\r\n", False),
        (b"HTTP/x.1 200\r\n", False),
        (b"HTTP/1.x 200\r\n", False),
        (b"HTTP/1.1 2", False),
    ],
)
def test_an_answer_without_its_request_is_a_guess(core_module, line, is_one):
    said = told(core_module, Sample(b"", line))
    assert said == ("HTTP", GUESS) if is_one else said[0] != "HTTP"


def test_a_head_that_does_not_end_is_still_http(core_module):
    line = b"GET / HTTP/1.1\r\n"
    assert told(core_module, Sample(line + b"A: b\r\n")) == ("HTTP", GUESS)
    long = line + b"A: b\r\n" * 3000
    assert told(core_module, Sample(long)) == ("HTTP", CERTAIN)

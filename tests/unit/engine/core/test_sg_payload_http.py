"""HTTP/1 heads with a Content-Length that is negative, or twice and different."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.threats import payload

NEGATIVE, SMUGGLING = "http_negative_length", "http_smuggling"


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("POST / HTTP/1.1", *lines, "")).encode()


@pytest.mark.parametrize(
    ("lines", "threats"),
    [
        (["Content-Length: -1"], [NEGATIVE]),
        (["content-LENGTH:\t-5 "], [NEGATIVE]),
        (["Content-Length: 5", "Content-Length: 6"], [SMUGGLING]),
        (["Content-Length: 5", "X: y", "content-length: 50"], [SMUGGLING]),
        (["Content-Length: 5, 6"], [SMUGGLING]),
        (["Content-Length : 5", "Content-Length: 6"], [SMUGGLING]),
        (["Content-Length: 5"], []),
        (["Content-Length: 0"], []),
        (["Content-Length: 5", "Content-Length: 5"], []),
        (["Content-Length: 5, 5"], []),
        (["X-Content-Length: -1", "Content-Length: 5"], []),
        (["Content-Length-X: -1"], []),
        (["Host: a-1", "Range: bytes=-5"], []),
        ([], []),
    ],
)
def test_heads(core_module, lines, threats):
    for client, server in ((head(*lines), head()), (head(), head(*lines))):
        assert payload(core_module, client, server, "HTTP") == (threats, False)
    assert payload(core_module, head(*lines), b"", "SMTP")[0] == []


def test_a_body_is_not_read(core_module):
    body = b"Content-Length: -1\r\nContent-Length: 7\r\n"
    asked = head("Content-Length: 40") + body
    assert payload(core_module, asked, head(), "HTTP") == ([], False)


def test_a_head_that_is_not_whole_may_show_more(core_module):
    whole = head("Content-Length: 5", "Content-Length: 6")
    for cut in range(1, len(whole)):
        found, more = payload(core_module, whole[:cut], head(), "HTTP")
        assert more
        assert found in ([], [SMUGGLING])

"""SIP is known by the first line of a request or of an answer, over TCP and UDP."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    CERTAIN,
    TCP,
    UDP,
    Sample,
    assert_recognised,
    told,
)

HEAD = b"Via: SIP/2.0/UDP 192.0.2.1\r\n\r\n"


@pytest.mark.parametrize("proto", [TCP, UDP])
@pytest.mark.parametrize(
    "line",
    [
        b"INVITE sip:a@a.example SIP/2.0\r\n",
        b"OPTIONS sip:a.example SIP/2.0\r\n",
        b"REGISTER sips:a.example SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\n",
    ],
)
def test_a_first_line_is_proof(core_module, line, proto):
    assert_recognised(core_module, "SIP", Sample(line + HEAD, b"", proto))


@pytest.mark.parametrize("proto", [TCP, UDP])
@pytest.mark.parametrize(
    "line",
    [
        b"INVITEKsip:a@a.example SIP/2.0\r\n",
        b"INVITE sip:a@a.example SIP/2.0\n",
        b"INVITE sip:a@a.example SIP/3.0\r\n",
        b"CALL sip:a@a.example SIP/2.0\r\n",
        b"SIP/2.0 20 OK\r\n",
        b"\r\n\r\n",
        b"INVITE sip:a",
    ],
)
def test_what_is_like_one_is_none(core_module, line, proto):
    assert CERTAIN not in told(core_module, Sample(line, b"x", proto))

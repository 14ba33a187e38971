"""RTSP is known by its request line."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    Sample,
    assert_recognised,
    told,
)

OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"OPTIONS rtsp://a.example/x RTSP/1.0\r\n",
        b"DESCRIBE rtsp://a.example RTSP/2.0\r\n",
        b"GET_PARAMETER * RTSP/1.0\r\n",
    ],
)
def test_a_request_line_is_proof(core_module, line):
    assert_recognised(core_module, "RTSP", Sample(line + b"CSeq: 1\r\n\r\n", OK))


@pytest.mark.parametrize(
    "line",
    [
        b"GET rtsp://a.example RTSP/1.0\r\n",
        b"DESCRIBE rtsp://a.example RTSP/1.0\n",
        b"DESCRIBE  rtsp://a.example RTSP/1.0\r\n",
        b"SETUP rtsp://a.example RTSP/3.0\r\n",
    ],
)
def test_what_is_like_one_is_none(core_module, line):
    assert CERTAIN not in told(core_module, Sample(line, OK))


def test_an_answer_alone_is_a_guess(core_module):
    assert told(core_module, Sample(b"", OK)) == ("RTSP", GUESS)

"""HTTP/2 is known by its preface."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.http2 import PREFACE, connection, frame
from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    Sample,
    assert_recognised,
    told,
)

GET = frame(1, b"\x82\x86\x84", 5)


def test_the_preface_is_proof_once_a_request_shows_that_it_is_nothing_more(core_module):
    assert told(core_module, Sample(connection(GET)[:-1])) == ("HTTP2", GUESS)
    assert_recognised(core_module, "HTTP2", Sample(connection(GET)))
    settings = frame(4, b"", 0, 0)
    assert_recognised(core_module, "HTTP2", Sample(connection(GET), settings))


@pytest.mark.parametrize(
    "asks",
    [PREFACE[:-1] + b"\r", PREFACE[1:], PREFACE.lower(), PREFACE.replace(b"SM", b"XX")],
)
def test_what_is_like_it_is_none(core_module, asks):
    assert CERTAIN not in told(core_module, Sample(asks))

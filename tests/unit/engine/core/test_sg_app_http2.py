"""HTTP/2 is known by its preface."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import CERTAIN, Sample, assert_recognised, told

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_the_preface_is_proof(core_module):
    assert_recognised(core_module, "HTTP2", Sample(PREFACE))


@pytest.mark.parametrize(
    "asks",
    [PREFACE[:-1] + b"\r", PREFACE[1:], PREFACE.lower(), PREFACE.replace(b"SM", b"XX")],
)
def test_what_is_like_it_is_none(core_module, asks):
    assert CERTAIN not in told(core_module, Sample(asks))

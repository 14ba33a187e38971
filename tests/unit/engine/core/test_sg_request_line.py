"""The first line of HTTP's kin ends in its own version, and in CRLF."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import CERTAIN, Sample, told


@pytest.mark.parametrize("end", [b"HTTP/1.1\r\n", b"HTTP/1.9\r\n"])
def test_its_version_says_whose_it_is(core_module, end):
    assert told(core_module, Sample(b"X / " + end + b"\r\n")) == ("HTTP", CERTAIN)


@pytest.mark.parametrize("byte", [0, 9, 10, 13, 31, 127])
def test_no_control_is_in_its_target(core_module, byte):
    line = b"GET /" + bytes([byte]) + b" HTTP/1.1\r\n\r\n"
    assert CERTAIN not in told(core_module, Sample(line))


@pytest.mark.parametrize("byte", b'"(),/:;<=>?@[\\]{}\x7f\x80')
def test_only_a_token_is_a_method(core_module, byte):
    line = b"G" + bytes([byte]) + b"T / HTTP/1.1\r\n\r\n"
    assert CERTAIN not in told(core_module, Sample(line))

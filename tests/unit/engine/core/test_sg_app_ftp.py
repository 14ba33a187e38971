"""FTP is known by a greeting that names it, or by a command that SMTP has not after any."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import CERTAIN, Sample, assert_recognised, told


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"USER a\r\n", b"220 (vsFTPd 3.0.3)\r\n"),
        (b"", b"220-Pure-FTPd\r\n"),
        (b"AUTH TLS\r\n", b"220 ready\r\n"),
        (b"feat\r\n", b"220 ready\r\n"),
    ],
)
def test_it_is_known(core_module, asks, answers):
    assert_recognised(core_module, "FTP", Sample(asks, answers))


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (b"EHLO a\r\n", b"220 FTP\r\n"),
        (b"USER a\r\n", b"+OK FTP\r\n"),
        (b"USER a\r\n", b"221 FTP\r\n"),
        (b"SSH-2.0-x\r\n", b"220 FTP\r\n"),
    ],
)
def test_what_is_like_it_is_not(core_module, asks, answers):
    assert told(core_module, Sample(asks, answers)) != ("FTP", CERTAIN)

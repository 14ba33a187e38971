"""SSH is known by either side's version line."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import CERTAIN, Sample, assert_recognised, told

BANNER = b"SSH-2.0-OpenSSH_9.2p1\r\n"


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        (BANNER, BANNER),
        (b"", BANNER),
        (BANNER, b""),
        (b"SSH-1.5-x\n", b"SSH-1.99-y\n"),
    ],
)
def test_a_version_line_is_proof(core_module, asks, answers):
    assert_recognised(core_module, "SSH", Sample(asks, answers))


@pytest.mark.parametrize(
    "line", [b"SSH 2.0\r\n", b"SSH-2\r\n", b"SSH-22.0-x", b"SSH-2.123-x", b"ssh-2.0-x"]
)
def test_what_is_like_one_is_none(core_module, line):
    assert CERTAIN not in told(core_module, Sample(line, line))

"""VNC is known by the server's version, whichever side it is on."""

from __future__ import annotations

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample

VERSION = b"RFB 003.008\n"


def test_a_version_is_proof(core_module):
    assert_recognises(
        core_module,
        "VNC",
        Sample(b"", VERSION),
        Sample(b"RFB 003.003\n\1", VERSION + b"\1\2"),
        Sample(VERSION),
        Sample(b"", b"RFB 003.889\n"),
        Sample(b"", b"RFB 005.000\n"),
    )


def test_what_is_like_one_is_none(core_module):
    for line in (
        b"RFB 006.008\n",
        b"RFB 003.00x\n",
        b"RFB 003.008\r",
        b"RFB 003 008\n",
        b"rfb 003.008\n",
    ):
        assert_not(core_module, "VNC", Sample(b"", line), Sample(line, VERSION))

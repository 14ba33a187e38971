"""AMQP is known by its name and a version that exists."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import Sample


@pytest.mark.parametrize(
    "version",
    [b"\0\0\x09\1", b"\0\1\0\0", b"\2\1\0\0", b"\3\1\0\0", b"\1\1\0\x0a", b"\1\1\x08\0"],
)  # fmt: skip
def test_its_head_is_proof(core_module, version):
    assert_recognises(core_module, "AMQP", Sample(b"AMQP" + version))


@pytest.mark.parametrize(
    "head", [b"AMQP\0\0\x09\2", b"AMQP\1\1\0\0", b"AMQP 0-9-1", b"amqp\0\0\x09\1"]
)
def test_what_is_like_it_is_none(core_module, head):
    assert_not(core_module, "AMQP", Sample(head))

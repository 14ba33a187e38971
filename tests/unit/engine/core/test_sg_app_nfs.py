"""NFS is known by a call of one of its programs, with a version and a procedure that exist."""

from __future__ import annotations

import struct

import pytest

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import UDP, Sample

MAP, NFS, MOUNT = 100000, 100003, 100005
NOBODY = struct.pack(">II", 0, 0)
UNIX = struct.pack(">II", 1, 24) + bytes(24)


def call(
    program: int = NFS,
    version: int = 3,
    procedure: int = 0,
    *,
    kind: int = 0,
    rpc: int = 2,
    proof: bytes = NOBODY,
) -> bytes:
    return (
        struct.pack(">6I", 77, kind, rpc, program, version, procedure) + proof + NOBODY
    )


def on_tcp(body: bytes, bit: int = 1 << 31) -> Sample:
    return Sample(struct.pack(">I", bit | len(body)) + body)


@pytest.mark.parametrize(
    "one",
    [
        call(),
        call(version=4, proof=UNIX),
        call(procedure=21, proof=UNIX),
        call(MAP, 2, 3),
        call(MOUNT, 3, 1),
    ],
)
def test_a_call_is_proof(core_module, one):
    assert_recognises(core_module, "NFS", on_tcp(one), Sample(one, b"", UDP))


@pytest.mark.parametrize(
    "one",
    [
        call(kind=1),
        call(rpc=3),
        call(version=5),
        call(procedure=22),
        call(100004, 2, 0),
        call(proof=struct.pack(">II", 8, 0)),
        call(proof=struct.pack(">II", 1, 404) + bytes(404)),
        call(proof=struct.pack(">II", 1, 2) + bytes(2)),
    ],
)
def test_what_is_like_one_is_none(core_module, one):
    assert_not(core_module, "NFS", on_tcp(one), Sample(one, b"", UDP))


def test_a_call_in_pieces_is_none(core_module):
    assert_not(core_module, "NFS", on_tcp(call(), 0), on_tcp(b""))

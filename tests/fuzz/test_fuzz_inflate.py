"""A few seconds of the fuzzer of compressed bodies, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_bodies_break_no_memory_and_no_limit(tmp_path):
    run_alone("fuzz_inflate", tmp_path)

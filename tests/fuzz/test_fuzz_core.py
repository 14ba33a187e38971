"""A few seconds of the core's fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_frames_and_policies_break_no_memory(tmp_path):
    run_alone("fuzz_core", tmp_path)

"""A few seconds of the fuzzer of answers, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_answers_break_no_memory_and_are_read_alike_in_pieces(tmp_path):
    run_alone("fuzz_answers", tmp_path)

"""A few seconds of the recognisers' fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_beginnings_break_no_memory_and_are_called_alike_in_pieces(tmp_path):
    run_alone("fuzz_recognise", tmp_path)

"""A few seconds of the DNS reader's fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_messages_break_no_memory_and_streams_of_them_are_cut_alike(tmp_path):
    run_alone("fuzz_dns", tmp_path)

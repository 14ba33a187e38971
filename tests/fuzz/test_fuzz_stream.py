"""A few seconds of the streams' fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_segments_and_options_of_any_kind_break_no_memory_and_no_promise(tmp_path):
    run_alone("fuzz_stream", tmp_path)

"""A few seconds of the requests' fuzzer, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_no_segments_bring_a_denied_request_across_or_break_memory(tmp_path):
    run_alone("fuzz_requests", tmp_path)

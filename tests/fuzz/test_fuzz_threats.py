"""A few seconds of the fuzzer of threats in payload, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_payload_breaks_no_memory_and_what_is_found_stays_found(tmp_path):
    run_alone("fuzz_threats", tmp_path)

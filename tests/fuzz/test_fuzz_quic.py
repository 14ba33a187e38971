"""A few seconds of the fuzzer of QUIC, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_packets_and_frames_break_no_memory(tmp_path):
    run_alone("fuzz_quic", tmp_path)

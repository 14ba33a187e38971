"""A few seconds of the fuzzer of TLS handshakes, with ASan and UBSan; the long runs are done by hand."""

from __future__ import annotations

from tests.fuzz.alone import run_alone


def test_mutated_handshakes_break_no_memory_and_what_is_told_stays(tmp_path):
    run_alone("fuzz_tls_facts", tmp_path)

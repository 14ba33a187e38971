"""Both ways of waiting for running programs are known to the kernel."""

from __future__ import annotations

from pyctl.platform.bpf import grace as bpf_grace


def test_the_kernel_waits_for_running_programs() -> None:
    bpf_grace.wait_for_programs()


def test_a_kernel_without_membarrier_waits_too(monkeypatch) -> None:
    """As one with nohz_full CPUs, which refuses the call."""
    monkeypatch.setattr(bpf_grace, "_SYS_MEMBARRIER", {})
    bpf_grace.wait_for_programs()

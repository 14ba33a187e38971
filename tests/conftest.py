"""Fixtures for all tests; see tests/fixtures/, and tests/lab/ for what they give. Tests that need root
are in datapath/ and kernel/."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Every module of tests/fixtures is a plugin, so that a new one is in use by being there.
pytest_plugins = [
    f"tests.fixtures.{path.stem}"
    for path in sorted((Path(__file__).parent / "fixtures").glob("[!_]*.py"))
]
pytest.register_assert_rewrite(*pytest_plugins, "tests.lab")

# A shell's background job is started with SIGINT ignored, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

PRIVILEGED = ("datapath", "kernel")
SECOND_RUNS = 1
"""Of a test that fails. Whole agents, real servers, threads and emulated kernels share two CPUs, and a deadline that
is missed once must not cost a run of half an hour. What failed is shown whole all the same; a property that found an
example finds it again."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow each a second run; without root, skip what needs it, by name and reason."""
    privileged = os.geteuid() == 0
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=SECOND_RUNS))
        # tests/unit mirrors the sources, so folders of these names may stand in it too.
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in PRIVILEGED and not privileged:
            reason = f"tests/{folder} needs root; run ./scripts/test"
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what failed at first, so that a second run hides nothing."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"failed at first: {report.nodeid}", red=True)
        terminalreporter.write_line(report.longreprtext)

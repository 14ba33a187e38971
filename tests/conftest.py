"""Fixtures for all tests; see tests/fixtures/. Tests that need root are in datapath/ and kernel/."""

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
pytest.register_assert_rewrite(*pytest_plugins)

# A shell's background job is started with SIGINT ignored, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

PRIVILEGED = ("datapath", "kernel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root, what needs it is skipped by name and reason."""
    if os.geteuid() == 0:
        return
    for item in items:
        # tests/unit mirrors the sources, so folders of these names may stand in it too.
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in PRIVILEGED:
            item.add_marker(
                pytest.mark.skip(
                    reason=f"tests/{folder} needs root; run ./scripts/test"
                )
            )

"""Fixtures for all tests; see tests/fixtures/. Tests that need root are in datapath/ and kernel/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.fixtures.netns", "tests.fixtures.agent"]

PRIVILEGED = ("datapath", "kernel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root, what needs it is skipped by name and reason."""
    if os.geteuid() == 0:
        return
    for item in items:
        folder = Path(item.fspath).parent.name
        if folder in PRIVILEGED:
            item.add_marker(
                pytest.mark.skip(
                    reason=f"tests/{folder} needs root; run ./scripts/test"
                )
            )

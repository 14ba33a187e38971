"""A played host for the controller's tests; Name: host. Scope: function. Depends: no root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.unit.controller.played import Host


@pytest.fixture
def host(monkeypatch, tmp_path) -> Iterator[Host]:
    # Without a format of its own, structlog draws every failure with all variables around it.
    with structlog.testing.capture_logs():
        yield Host(monkeypatch, tmp_path)

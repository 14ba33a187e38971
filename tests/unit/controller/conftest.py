"""A played host for the controller's tests; Name: host. Scope: function. Depends: no root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from pyctl.controller import commit_order
from pyctl.controller.steering import Steering
from tests.unit.controller.played import Host
from tests.unit.controller.told import Recorder


@pytest.fixture
def host(monkeypatch, tmp_path) -> Iterator[Host]:
    # Without a format of its own, structlog draws every failure with all variables around it.
    with structlog.testing.capture_logs():
        yield Host(monkeypatch, tmp_path)


@pytest.fixture
def world(monkeypatch) -> tuple[Recorder, Steering]:
    """Name: world. Scope: function. A steering, and what it tells engine and driver."""
    recorder = Recorder()
    monkeypatch.setattr(
        commit_order,
        "wait_for_programs",
        lambda: recorder.told.append(("grace period",)),
    )
    return recorder, Steering(recorder, recorder)

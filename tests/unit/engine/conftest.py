"""An engine that is played; Name: silent. Scope: function. Depends: no root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyctl.model.instance import Instance
from tests.unit.engine.silent import Silent


@pytest.fixture
def silent(tmp_path, monkeypatch) -> Iterator[Silent]:
    """An engine that says hello, and answers nothing else, behind the socket of an instance."""
    monkeypatch.setattr(Instance, "run_dir", tmp_path)
    made = Silent(Instance("segt-supervisor").run_dir / "engine.sock")
    yield made
    made.end()

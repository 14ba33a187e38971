"""How hypothesis runs (on a busy host an example may take any time), and whose the log is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("segctl", deadline=None)
settings.load_profile("segctl")


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Name: own_log. Scope: function. What a test makes of the log ends with it: later its stderr is closed."""
    yield
    structlog.reset_defaults()

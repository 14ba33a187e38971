"""How hypothesis runs: on a busy host an example may take any time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("segctl", deadline=None)
settings.load_profile("segctl")

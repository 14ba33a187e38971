"""Shared options: who may change interfaces, and whose names are meant."""

from __future__ import annotations

import pytest

from pyctl.cli.shared import options
from pyctl.errors import NotPermittedError


def test_without_root_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setattr(options.os, "geteuid", lambda: 1000)
    with pytest.raises(NotPermittedError, match="sudo segctl attach"):
        options.require_root("attach")


def test_root_passes(monkeypatch):
    monkeypatch.setattr(options.os, "geteuid", lambda: 0)
    options.require_root("attach")

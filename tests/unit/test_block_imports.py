"""The agent and the engine are without what they never use; everybody else finds it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

from pyctl.block_imports import block_imports


def test_what_is_hidden_is_not_found_and_comes_back():
    assert "this" not in sys.modules
    with block_imports("this"):
        with pytest.raises(ImportError):
            importlib.import_module("this")
        with block_imports("this"):
            pass
        assert sys.modules["this"] is None
    assert "this" not in sys.modules


def test_what_is_loaded_already_stays():
    with block_imports("pytest"):
        assert importlib.import_module("pytest") is pytest
    assert sys.modules["pytest"] is pytest


AGENT = """
import os
os.geteuid = lambda: 0
from pyctl.cli.main import main
main(["agent", "run"])
"""


@pytest.mark.parametrize(
    "argv",
    [["-c", AGENT], ["-m", "pyctl.engine", "--instance", "impossible/name"]],
    ids=["agent", "engine"],
)
def test_neither_process_loads_rich(argv):
    """Both end at once, of a name that cannot be, when all is imported that they run on."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *argv],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SEGCTL_INSTANCE": "impossible/name"},
    )
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert told.returncode == 2
    assert "structlog.dev" in loaded
    assert not {"pygments", "rich.console"} & loaded

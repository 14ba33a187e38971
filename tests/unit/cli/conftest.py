"""The command line in front of a fake agent; Name: segctl. Scope: function. Depends: no root."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from pyctl.cli.main import main
from pyctl.cli.shared import options
from tests.unit.fake_agent import agent_at, instance_in

Segctl = Callable[..., Result]


@pytest.fixture
def instance(tmp_path, monkeypatch):
    found = instance_in(tmp_path)
    monkeypatch.setattr(options, "instance", lambda: found)
    monkeypatch.setattr(options.os, "geteuid", lambda: 0)
    return found


@pytest.fixture
def agent(instance):
    with agent_at(instance) as found:
        yield found


@pytest.fixture
def segctl() -> Segctl:
    def run(*argv: str, **more: object) -> Result:
        result = CliRunner().invoke(main, argv, prog_name="segctl", **more)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run

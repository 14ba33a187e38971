"""engine: becomes the engine, with rings of its own."""

from __future__ import annotations

from pathlib import Path


def test_options_reach_the_engine_and_its_code_comes_back(
    instance, segctl, monkeypatch
):
    asked = []

    def run(found, **options):
        asked.append((found, options))
        return 0

    monkeypatch.setattr("pyctl.engine.main.run", run)
    path = "/run/dp.sock"
    done = segctl(
        *("engine", "--no-flow-cache", "--log-level", "debug", "--dp-socket", path)
    )
    assert done.exit_code == 0
    options = {
        "log_level": "debug",
        "cache": False,
        "with_rings": True,
        "dp_socket": Path(path),
    }
    assert asked == [(instance, options)]

"""Lines that come one by one stand under their heads."""

from __future__ import annotations

import pytest

from pyctl.cli.shared import follow


def test_columns_line_up(monkeypatch, capsys):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(follow.time, "sleep", stop)
    found = {"events": [{"kind": "a\x1b"}], "position": 1}
    follow.follow(
        found, "events", pytest.fail, (("kind", "rule"), lambda one: [one["kind"], 7])
    )
    head, line = capsys.readouterr().out.splitlines()
    assert head.index("RULE") == line.index("7")
    assert "\x1b" not in line

"""--since takes what people type."""

from __future__ import annotations

import time

import click
import pytest

from pyctl.cli.shared.since import Since


@pytest.mark.parametrize(
    ("text", "ago"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("7d", 604800)]
)
def test_ago_is_counted_back_from_now(text, ago):
    assert Since().convert(text, None, None) == pytest.approx(time.time() - ago, abs=5)


def test_a_time_is_local():
    moment = time.localtime(time.time() - 86400)
    text = time.strftime("%Y-%m-%d %H:%M", moment)
    assert Since().convert(text, None, None) == pytest.approx(
        time.mktime(moment), abs=60
    )
    assert time.localtime(Since().convert("0:05", None, None)).tm_min == 5


@pytest.mark.parametrize("text", ["", "yesterday", "10", "-5m", "25:00"])
def test_anything_else_is_refused(text):
    with pytest.raises(click.BadParameter, match="how long ago"):
        Since().convert(text, None, None)

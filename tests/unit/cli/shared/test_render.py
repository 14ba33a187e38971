"""What reaches the screen: whole columns, no control characters."""

from __future__ import annotations

from pyctl.cli.shared import render


def test_columns_stand_under_their_heads(capsys):
    render.table(["name", "pid"], [["a", 1], ["longer", None]])
    assert capsys.readouterr().out == "NAME    PID\na       1\nlonger  -\n"


def test_a_container_name_cannot_steer_the_terminal(capsys):
    render.table(["name"], [["\x1b[2Jevil\nsecond"]])
    assert capsys.readouterr().out == "NAME\n�[2Jevil�second\n"


def test_a_terminal_gets_a_table_where_markup_stays_text(capsys, monkeypatch):
    monkeypatch.setattr(render.sys.stdout, "isatty", lambda: True, raising=False)
    render.table(["name"], [["[red]web[/red]"]])
    assert "[red]web[/red]" in capsys.readouterr().out


def test_facts_stand_in_two_columns(capsys):
    render.facts({"a": 1, "long name": ""})
    assert capsys.readouterr().out == "a          1\nlong name  -\n"

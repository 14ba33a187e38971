"""doctor: a table or JSON, and exit 4 where nothing can work."""

from __future__ import annotations

import json

import pytest

from pyctl.doctor import probe


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 4), ("unknown", 0)])
def test_the_exit_code_says_whether_a_datapath_is_ruled_out(
    segctl, monkeypatch, state, code
):
    names = probe.COMMON | probe.EBPF | probe.U32 | probe.OPTIONAL
    report = probe.judge(dict.fromkeys(names, (state, "seen")))
    monkeypatch.setattr(probe, "probe", lambda: report)
    table = segctl("doctor")
    assert table.exit_code == code
    assert f"datapath: {report.verdict}" in table.stdout
    answer = segctl("doctor", "-o", "json")
    assert answer.exit_code == code
    assert json.loads(answer.stdout)["datapath"] == report.datapath

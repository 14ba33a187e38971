"""An interrupted splice is finished in the end, whoever holds its journal at first."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pyctl.controller import recovery
from pyctl.intercept import recover
from pyctl.intercept.steps.journal import taken


@pytest.fixture
def context(tmp_path, monkeypatch) -> SimpleNamespace:
    """Name: context. Of an agent that finds one journal, which nobody can understand."""
    (tmp_path / "1-2.journal").write_text("none\n")
    monkeypatch.setattr(recovery, "_drop_undone_ports", lambda _: None)
    monkeypatch.setattr(recover, "fit_mtu", lambda _: None)
    instance = SimpleNamespace(journal_dir=tmp_path)
    due: list[str] = []
    return SimpleNamespace(
        instance=instance, unfinished=(), due=due, on_due=lambda: due.append("due")
    )


def test_a_journal_that_a_dying_process_holds_is_come_back_to(context):
    path = context.instance.journal_dir / "1-2.journal"
    with taken(path):
        (told,) = recovery.finish_journals(context)
        assert "ending" in told
        assert context.unfinished == (told,)
        assert context.due == ["due"]
        assert recovery.finish_journals(context) == []
    (told,) = recovery.finish_journals(context)
    assert "cannot be understood" in told
    assert len(context.due) == 3, "as often as it was looked at in vain"
    path.unlink()
    assert recovery.finish_journals(context) == []
    assert context.unfinished == ()
    assert len(context.due) == 3

"""Applied policies are kept as they were written, and not without end."""

from __future__ import annotations

import pytest

from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.instance import Instance
from pyctl.state import revisions
from pyctl.state.revisions import Revisions


class Here(Instance):
    """Its state is in a test's directory."""

    @property
    def state_dir(self):
        return self._at


@pytest.fixture
def kept(tmp_path):
    instance = Here("test")
    object.__setattr__(instance, "_at", tmp_path)
    return Revisions(instance)


def add(kept, text: str, comment: str = ""):
    return kept.add(text, time=1.5, author="ann", comment=comment, rules=2, groups=1)


def test_what_was_applied_is_kept_to_the_letter(kept):
    assert kept.all() == []
    first, second = add(kept, "# ä\n"), add(kept, "b", "why")
    assert kept.all() == [first, second]
    assert (second.number, second.comment, second.rules) == (2, "why", 2)
    assert kept.text(1) == "# ä\n"


def test_a_text_is_told_or_not(kept):
    add(kept, "a")
    assert kept.tells("a")
    assert not kept.tells("b")


def test_the_oldest_go_and_no_number_comes_again(kept, monkeypatch):
    monkeypatch.setattr(revisions, "KEPT", 3)
    for number in range(1, 6):
        add(kept, f"{number}")
    assert kept.numbers() == [3, 4, 5]
    with pytest.raises(NotFoundError):
        kept.text(2)
    assert add(kept, "6").number == 6


def test_facts_that_cannot_be_read_leave_the_others(kept, tmp_path):
    add(kept, "a")
    add(kept, "b")
    (tmp_path / "policies" / "1.json").write_text("{")
    assert [one.number for one in kept.all()] == [2]


def test_a_disk_that_refuses_is_told(kept, tmp_path):
    (tmp_path / "policies").write_text("no directory")
    with pytest.raises(SegctlError, match="as a revision"):
        add(kept, "a")

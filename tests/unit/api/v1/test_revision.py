"""Former policies as the API shows them."""

from __future__ import annotations

from pyctl.api.v1.revision import revisions_view
from pyctl.state.revisions import Revision, fingerprint


def revision(number: int, text: str) -> Revision:
    return Revision(number, 0.0, "ann", "", fingerprint(text), 1, 1)


def test_the_newest_of_those_that_say_what_holds_is_in_force():
    found = [revision(1, "a"), revision(2, "b"), revision(3, "a"), revision(4, "c")]
    shown = revisions_view(found, "a").revisions
    assert [one.number for one in shown if one.in_force] == [3]


def test_none_is_in_force_where_another_policy_holds():
    shown = revisions_view([revision(1, "a")], "").revisions
    assert not any(one.in_force for one in shown)

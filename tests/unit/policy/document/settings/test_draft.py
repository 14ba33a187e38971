"""What only groups of workloads have: another group is told."""

from __future__ import annotations

import pytest

from pyctl.policy.document import table
from pyctl.policy.document.settings.draft import Draft, of_workloads
from pyctl.policy.document.types import Group, Selector


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("web", None),
        ("any", None),
        ("net", "only workloads have words, and this group is CIDRs"),
        ("names", "only workloads have words, and this group is names"),
        ("none", "no such group"),
    ],
)
def test_groups_that_may_have_a_setting(name, told):
    notes = Draft()
    notes.groups = {
        "web": Group("web", Selector(name="web")),
        "net": Group("net"),
        "names": Group("names", fqdns=("a.example",)),
    }
    notes.declared |= notes.groups.keys()
    found = of_workloads(notes, "at", {name: "x"}, table.TEXT, "words")
    assert notes.errors == ([f"at.{name}: {told}"] if told else [])
    assert found == ({} if told else {name: "x"})

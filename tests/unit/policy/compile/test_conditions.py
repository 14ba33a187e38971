"""A rule's condition is the same for the same meaning, and the engine takes it."""

from __future__ import annotations

from dataclasses import replace

from pyctl.engine._binding import constant
from pyctl.model.policy import Action, Field
from pyctl.policy.compile.conditions import condition_of
from pyctl.policy.document.conditions.tls import VERSIONS
from pyctl.policy.document.parse import MAX_CONDITIONS
from pyctl.policy.document.types import PortSpec, Rule, Tls

ANY = Rule(1, "any", "any", (PortSpec("any", "any"),), Action.ALLOW)
TLS = replace(ANY, apps=("TLS",), tls=Tls(("b", "*.a"), ("h2",), "1.2"))


def test_fields_have_the_numbers_of_the_engine():
    for field in Field:
        assert field == constant(f"SG_FIELD_{field.name}")
    assert len(Field) + 1 == constant("SG_FIELDS")


def test_items_are_ascending_by_field_and_in_one_order():
    asked = condition_of(TLS, 7)
    assert asked is not None
    assert asked.items == ((1, b"*.a"), (1, b"b"), (2, b"h2"), (3, b"\3\3"))
    assert asked == condition_of(replace(TLS, tls=Tls(("*.a", "b"), ("h2",), "1.2")), 8)


def test_what_denies_is_another_condition():
    denies = condition_of(replace(TLS, action=Action.REJECT), 7)
    assert denies is not None
    assert (denies.denies, denies.rule) == (True, 7)
    assert denies != condition_of(TLS, 7)


def test_a_rule_without_has_none():
    assert condition_of(ANY, 7) is None


def test_versions_are_those_of_the_wire():
    assert list(VERSIONS.values()) == [0x301, 0x302, 0x303, 0x304]


def test_a_policy_holds_as_many_as_the_engine():
    assert MAX_CONDITIONS == 4096

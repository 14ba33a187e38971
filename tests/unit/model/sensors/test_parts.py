"""Patterns for several parts, and for values of forms and JSON alone."""

from __future__ import annotations

from pyctl.model.sensors.parts import in_parts, in_target_and_fields
from pyctl.model.sensors.sensor import Confirm, Part
from tests.unit.model.sensors.scanning import Scanner


def test_each_part_has_a_pattern_with_a_name_of_its_own():
    found = in_parts("card", "x", ("url", "body"), "high", Confirm.CARD)
    assert [(one.id, one.part) for one in found] == [
        ("card-url", Part.URL),
        ("card-body", Part.BODY),
    ]
    assert {(one.regex, one.severity, one.confirm) for one in found} == {
        ("x", "high", Confirm.CARD)
    }


def fires(text: bytes, behind: str = "") -> set[str]:
    patterns = in_target_and_fields("x", "evil", "high", behind=behind, json=True)
    return Scanner([one for one in patterns if one.part is Part.BODY], None).scan(text)


def test_a_body_is_looked_at_in_its_values():
    assert fires(b"a=evil") == {"x-form"}
    assert fires(b"a=b&c=some EVIL") == {"x-form"}
    assert fires(b"{odd}=b&c=evil") == {"x-form"}
    assert fires(b'{"a": "some evil"}') == {"x-json"}
    assert fires(b'["b", "\\"evil"]') == {"x-json"}
    assert not fires(b"evil")
    assert not fires(b"a text with = and evil")
    assert not fires(b"// a=b\nevil")


def test_what_must_stand_before_it_may_be_the_value_s_beginning():
    assert fires(b"a=evil", behind="/")
    assert fires(b"a=b/evil", behind="/")
    assert not fires(b"a=bevil", behind="/")

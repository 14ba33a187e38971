"""`sensors:` of a policy: what is taken, what is refused, and whose action counts."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.model.sensors.sensor import Part, SensorBits, sensor_bits
from pyctl.policy.compile.diff import changes
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import effective_sensors
from tests.unit.policy.makers import workload

HEAD = """
apiVersion: segctl/v1
groups:
  web: {selector: {name: "web*"}}
  one: {selector: {name: "web-1"}}
  net: {cidrs: ["10.0.0.0/8"]}
"""
ORDER = "{id: order, regex: 'ORD-[0-9]{8}', part: body, severity: low}"
TOKEN = "{id: token, regex: 'tok_', part: packet, confirm: pcre2}"


def policy(sensors: str):
    return parse(f"{HEAD}sensors: {sensors}")


def refused(sensors: str) -> str:
    with pytest.raises(UsageError) as info:
        policy(sensors)
    return str(info.value)


def test_a_sensor_has_patterns_and_what_groups_do():
    (found,) = policy(
        f"{{data: {{patterns: [{ORDER}, {TOKEN}], show: true, groups: {{web: drop, any: off}}}}}}"
    ).sensors
    assert (found.name, found.show) == ("data", True)
    assert [one.id for one in found.patterns] == ["order", "token"]
    assert found.patterns[0].part is Part.BODY
    assert [one.severity for one in found.patterns] == ["low", "medium"]
    assert [one.confirm for one in found.patterns] == [None, "pcre2"]
    assert found.groups == {"web": "drop", "any": "off"}


@pytest.mark.parametrize(
    ("sensors", "told"),
    [
        (f"{{Data: {{patterns: [{ORDER}], groups: {{web: drop}}}}}}", "sensors.Data"),
        (
            f"{{data: {{patterns: [{ORDER}, {ORDER}], groups: {{web: drop}}}}}}",
            "two have the id order",
        ),
        ("{data: {groups: {web: drop}}}", "looks for nothing"),
        (f"{{data: {{patterns: [{ORDER}]}}}}", "names no group"),
        (
            f"{{data: {{patterns: [{ORDER}], groups: {{nobody: drop}}}}}}",
            "groups.nobody: no such group",
        ),
        (
            f"{{data: {{patterns: [{ORDER}], groups: {{net: drop}}}}}}",
            "only workloads have sensors",
        ),
        (
            f"{{data: {{patterns: [{ORDER}], groups: {{web: deny}}}}}}",
            "one of off, alert, drop, reset",
        ),
        ("{data: {use: [nothing], groups: {web: drop}}}", "comes with segctl"),
        (
            "{data: {patterns: [{id: a, regex: b, part: cookie}], groups: {web: drop}}}",
            "patterns[0].part",
        ),
        (
            f"{{data: {{patterns: [{{id: a, regex: {'b' * 2001}, part: url}}], groups: {{web: drop}}}}}}",
            "longer than 2000",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_is(sensors, told):
    assert told in refused(sensors)


@pytest.mark.parametrize(
    ("groups", "name", "action"),
    [
        ("{web: alert, one: drop}", "web-1", "drop"),
        ("{web: drop, one: alert}", "web-1", "drop"),
        ("{web: alert, any: reset}", "web-1", "alert"),
        ("{one: alert, any: reset}", "web-2", "reset"),
        ("{one: alert}", "web-2", None),
        ("{one: off, web: off}", "web-1", "off"),
    ],
)
def test_of_several_groups_the_strictest_counts(groups, name, action):
    found = effective_sensors(
        policy(f"{{data: {{patterns: [{ORDER}], groups: {groups}}}}}"), workload(name)
    )
    assert found.get("data") == action


def test_settings_are_bits_by_the_order_of_sensors():
    found = policy(
        "{"
        + ", ".join(
            f"{name}: {{patterns: [{ORDER}], groups: {{web: {action}}}}}"
            for name, action in zip(
                "abcd", ("alert", "off", "reset", "drop"), strict=True
            )
        )
        + "}"
    )
    settings = effective_sensors(found, workload("web-1"))
    assert sensor_bits(found.sensors, settings) == SensorBits(0b1101, 0b1100, 0b0100)


def test_a_change_of_a_sensor_is_told():
    before = policy(f"{{data: {{patterns: [{ORDER}], groups: {{web: drop}}}}}}")
    after = policy(f"{{data: {{patterns: [{TOKEN}], groups: {{web: drop}}}}}}")
    (told,) = changes(before, after)
    assert told == (
        "sensor data: order (body, low) ORD-[0-9]{8}; web drop → "
        "token (packet, medium) tok_ confirm pcre2; web drop"
    )

"""Vectorscan's compiler: databases by part, and errors that name the pattern."""

from __future__ import annotations

import pytest

from pyctl.errors import NotCapableError, UsageError
from pyctl.model.sensors.sensor import Confirm, Part, Pattern, Sensor
from pyctl.model.sensors.shipped import SHIPPED
from pyctl.platform.patterns import vectorscan
from pyctl.platform.patterns.vectorscan import compile_sensors, flags_of


def one(regex: str, part: Part = Part.URL, confirm: Confirm | None = None) -> Sensor:
    good = Pattern("good", "good", part)
    return Sensor("mine", (good, Pattern("bad", regex, part, confirm=confirm)))


def test_a_database_for_each_part_that_is_asked_for():
    found = compile_sensors((one("a+"), one("b", Part.PACKET)))
    assert [bool(each) for each in found.by_part] == [True, False, False, True]
    assert compile_sensors(()).by_part == (b"",) * 4
    assert compile_sensors((one("a+"), one("b", Part.PACKET))) is found


@pytest.mark.parametrize("regex", ["a(", "a(?=b)", r"(a)\1", "a*", "x{1,100000}"])
def test_what_the_library_does_not_take_is_told_by_its_name(regex):
    with pytest.raises(UsageError) as info:
        compile_sensors((one(regex),))
    assert "sensor mine, pattern bad" in str(info.value)


@pytest.mark.parametrize("regex", ["a(?=b)", r"(a)\1", "a(?<!b)c"])
def test_what_pcre2_confirms_is_only_filtered(regex):
    assert compile_sensors((one(regex, confirm=Confirm.PCRE2),)).by_part[0]


def test_what_is_shown_knows_where_it_begins_and_what_is_not_is_told_once():
    plain = Pattern("a", "b", Part.URL)
    assert flags_of(plain, show=False) == 8
    assert flags_of(plain, show=True) == 256
    exact = Pattern("a", "b", Part.URL, confirm=Confirm.PCRE2)
    assert flags_of(exact, show=True) == 128
    card = Pattern("a", "b", Part.URL, confirm=Confirm.CARD)
    assert flags_of(card, show=False) == 0, "one that is no card must not hide the next"
    assert flags_of(card, show=True) == 256


@pytest.mark.parametrize("show", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_set_compiles_whether_it_is_shown_or_not(name, show):
    assert any(compile_sensors((Sensor(name, SHIPPED[name], show),)).by_part)


def test_without_the_library_sensors_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(vectorscan, "LIBRARY", "libnothere.so.5")
    vectorscan._library.cache_clear()
    try:
        with pytest.raises(NotCapableError, match="apt install libvectorscan5"):
            compile_sensors((one("another"),))
        assert compile_sensors(()).by_part == (b"",) * 4
    finally:
        vectorscan._library.cache_clear()

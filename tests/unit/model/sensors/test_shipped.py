"""Shipped sets: each finds 20 texts and more that it is for, and none of 20 that look alike."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from pyctl.model.sensors.sensor import MAX_REGEX, Part, Pattern
from pyctl.model.sensors.shipped import SHIPPED
from tests.unit.engine.core.conftest import core_module  # noqa: F401 a fixture
from tests.unit.model.sensors.scanning import Scanner, decoded
from tests.unit.model.sensors.texts import (
    attacks_injection,
    attacks_paths,
    data_numbers,
    data_secrets,
)

TEXTS = {
    **data_numbers.TEXTS,
    **data_secrets.TEXTS,
    **attacks_injection.TEXTS,
    **attacks_paths.TEXTS,
}
AT_LEAST = 20
STREAM_BYTES_MAX = 512
"""Of all sets together, for each direction of a connection."""
DECODED = {"url": Part.URL, "form": Part.BODY}
"""What is looked at decoded, besides as it was sent."""
PARTS = {"form": Part.BODY, **{str(part): part for part in Part}}


def patterns_of(part: Part, names: list[str]) -> list[Pattern]:
    return [one for name in names for one in SHIPPED[name] if one.part is part]


class Sets:
    """Sets compiled, a scanner for each part."""

    def __init__(self, names: list[str], core: Any) -> None:
        self._core = core
        self._scanners = {
            part: Scanner(found, core)
            for part in Part
            if (found := patterns_of(part, names))
        }

    def fire(self, where: str, text: str) -> set[str]:
        """Return the ids of what fires; the same however the text is cut."""
        scanner = self._scanners.get(PARTS[where])
        if scanner is None:
            return set()
        data = text.encode("latin-1")
        versions = [data]
        if where in DECODED:
            versions.append(decoded(self._core, data))
            assert versions[1] == decoded(self._core, data, range(1, len(data)))
        found = set()
        for one in versions:
            ids = scanner.scan(one)
            assert ids == scanner.scan(one, range(1, len(one)))
            found |= ids
        return found


@pytest.fixture(scope="module")
def sets(core_module: Any) -> dict[str, Sets]:  # noqa: F811 the fixture
    """Name: sets. Scope: module. Depends: core_module, libvectorscan5. Each shipped set by itself."""
    return {name: Sets([name], core_module) for name in SHIPPED}


def test_each_set_has_twenty_texts_of_both_kinds():
    assert set(TEXTS) == set(SHIPPED)
    for name, kinds in TEXTS.items():
        for texts in kinds:
            assert len(set(texts)) >= AT_LEAST, name


@pytest.mark.parametrize(
    ("name", "where", "text"),
    [(name, *one) for name, (fire, _silent) in TEXTS.items() for one in fire],
)
def test_a_text_fires(sets, name, where, text):
    assert sets[name].fire(where, text)


@pytest.mark.parametrize(
    ("name", "where", "text"),
    [(name, *one) for name, (_fire, silent) in TEXTS.items() for one in silent],
)
def test_a_near_miss_does_not_fire(sets, name, where, text):
    assert not sets[name].fire(where, text)


DATA = tuple(data_numbers.TEXTS) + tuple(data_secrets.TEXTS)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_no_attack_for_one_set_is_none_for_another(sets, name):
    """Near misses of all sets are harmless to each attack's set, but where they are another's attack."""
    if name in DATA:
        return
    texts = [one for kinds in TEXTS.values() for one in kinds[1]]
    found = {
        (where, text): ids
        for where, text in texts
        if (ids := sets[name].fire(where, text))
    }
    assert not found


@pytest.mark.parametrize("name", SHIPPED)
def test_a_pattern_alone_is_valid_and_its_id_is_its_own(name):
    ids = [one.id for one in SHIPPED[name]]
    assert len(set(ids)) == len(ids) > 0
    for one in SHIPPED[name]:
        assert len(one.id) <= 32
        assert len(one.regex) <= MAX_REGEX
        assert Scanner([one], None).stream_bytes > 0


def test_sets_may_be_used_together():
    """Two sets of one sensor have no id in common."""
    every = sorted(one.id for patterns in SHIPPED.values() for one in patterns)
    assert [one for one, same in groupby(every) if len(list(same)) > 1] == []


@pytest.mark.parametrize("part", [Part.URL, Part.HEADER, Part.BODY])
def test_all_sets_together_are_small(part):
    assert (
        Scanner(patterns_of(part, list(SHIPPED)), None).stream_bytes <= STREAM_BYTES_MAX
    )

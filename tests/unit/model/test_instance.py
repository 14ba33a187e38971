"""An instance's name decides paths, so it may not be a path."""

from __future__ import annotations

import pytest

from pyctl.errors import UsageError
from pyctl.model.instance import Instance


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "a.b", "-a", "a" * 32, "a\n"])
def test_a_name_that_could_be_a_path_is_refused(name):
    with pytest.raises(UsageError):
        Instance(name)


def test_two_instances_share_nothing():
    one, two = Instance("one"), Instance("two")
    places = [
        name for name in vars(Instance) if isinstance(vars(Instance)[name], property)
    ]
    assert places
    for place in places:
        assert getattr(one, place) != getattr(two, place)


def test_the_environment_names_it(monkeypatch):
    monkeypatch.delenv("SEGCTL_INSTANCE", raising=False)
    assert Instance.from_environment() == Instance("segctl")
    monkeypatch.setenv("SEGCTL_INSTANCE", "second")
    assert Instance.from_environment() == Instance("second")

"""What inspect says, read strictly where a pid is at stake."""

from __future__ import annotations

import pytest

from pyctl.errors import SegctlError
from pyctl.runtime.base import container_of
from tests.unit.runtime.fake_docker import inspected


@pytest.mark.parametrize("key", ["Id", "Name", "State"])
def test_a_missing_field_is_an_error_not_a_guess(key):
    told = inspected()
    del told[key]
    with pytest.raises(SegctlError, match=key):
        container_of(told, "docker")


def test_a_container_without_labels_has_none():
    told = inspected(Config={"Labels": None, "Image": ""})
    found = container_of(told, "docker")
    assert (found.labels, found.image) == ({}, None)


def test_what_is_no_text_in_names_and_labels_is_escaped():
    told = inspected()
    told["Name"] = "/w\udcffb"
    told["Config"]["Labels"] = {"a\ud800": "\udcfe"}
    told["Config"]["Image"] = "\udcfd"
    found = container_of(told, "podman")
    assert found.name == "w\\xffb"
    assert found.labels == {"a\\ud800": "\\xfe"}
    assert found.image == "\\xfd"

"""The list of maps and programs follows the header and the sources."""

from __future__ import annotations

import re

import pytest

from pyctl import abi
from pyctl.datapath import pins
from pyctl.datapath.ebpf import loader
from pyctl.errors import NotFoundError
from pyctl.model.instance import Instance


def test_pins_stand_under_the_hash_of_the_abi():
    assert pins.pin_dir(Instance("one")).parts[-2:] == ("one", abi.HASH)


def test_every_program_has_its_source_and_its_function():
    for name in pins.PROGRAMS:
        text = (loader.SOURCES / f"{name}.bpf.c").read_text()
        assert re.search(rf"^int {name}\(struct __sk_buff \*skb\)$", text, re.MULTILINE)


def test_every_map_that_the_programs_name_is_made():
    text = "".join(file.read_text() for file in loader.SOURCES.rglob("*.[ch]"))
    used = set(
        re.findall(
            r"(?:seg_map_lookup|seg_map_create|seg_sealed_find|SEG_MAP)\((seg_\w+)",
            text,
        )
    )
    # What the engines tell each other, no program reads.
    assert used | {"seg_queries", "seg_names"} == set(pins.MAPS)


def test_key_and_value_sizes_are_the_headers():
    assert pins.MAPS["seg_ports"].value_size == abi.sizeof("seg_port")
    assert pins.MAPS["seg_flows6"].key_size == abi.sizeof("seg_flow_key6")
    assert pins.MAPS["seg_control"].value_size == abi.sizeof("seg_control")


def test_an_unknown_map_is_named_as_such():
    with pytest.raises(NotFoundError, match="seg_nothing"):
        pins.open_map(Instance("one"), "seg_nothing")


def test_only_one_header_drops():
    """Every drop goes through the place that counts it."""
    for file in loader.SOURCES.rglob("*.[ch]"):
        if file.name != "seg_finish.h":
            assert "TC_ACT_SHOT" not in file.read_text(), file.name


def test_only_the_parser_compares_with_the_end_of_the_data():
    for file in loader.SOURCES.rglob("*.[ch]"):
        if file.name != "seg_parse.h":
            assert "data_end" not in file.read_text(), file.name


def test_a_pin_is_opened_under_its_name_and_a_missing_one_says_what_to_do(monkeypatch):
    one = Instance("one")
    monkeypatch.setattr(pins.bpf.Map, "open", lambda path: path)
    assert pins.open_map(one, "seg_gens") == pins.pin_dir(one) / "seg_gens"

    def missing(_path):
        raise NotFoundError("no such pin", errno=2)

    monkeypatch.setattr(pins.bpf.Map, "open", missing)
    with pytest.raises(NotFoundError, match="seg_gens is not pinned for one") as raised:
        pins.open_map(one, "seg_gens")
    assert raised.value.errno == 2
    assert "attach a workload" in raised.value.advice

"""dump-maps: the decoded rows, whatever their columns; no agent is asked."""

from __future__ import annotations

import json
import re

import pytest

from pyctl.datapath.maps import _DECODERS
from pyctl.errors import NotFoundError

ROWS = {
    "seg_ports": [{"ifindex": 12, "flags": ["a", "b"]}, {"ifindex": 13, "role": "vin"}],
    "seg_gens": [],
}


@pytest.fixture
def pins(monkeypatch):
    def dump(_instance, name):
        if name == "nonsense":
            raise NotFoundError("no such map")
        return ROWS if name is None else {name: ROWS[name]}

    monkeypatch.setattr("pyctl.datapath.maps.dump_maps", dump)


def test_rows_of_one_map_may_differ_in_their_columns(instance, pins, segctl):
    lines = segctl("dump-maps").stdout.splitlines()
    assert [line.split() for line in lines] == [
        [],
        ["seg_ports:", "2", "of", "16384"],
        ["IFINDEX", "FLAGS", "ROLE"],
        ["12", "a", "b", "-"],
        ["13", "-", "vin"],
        [],
        ["seg_gens:", "0"],
    ]


def test_json_is_the_rows(instance, pins, segctl):
    assert json.loads(segctl("dump-maps", "-o", "json").stdout) == ROWS


def test_an_unknown_map_is_3(instance, pins, segctl):
    assert segctl("dump-maps", "nonsense").exit_code == 3


def test_the_help_names_every_map_that_is_decoded(segctl):
    text = segctl("dump-maps", "--help").stdout
    assert set(re.findall(r"\bseg_\w+", text)) == set(_DECODERS)

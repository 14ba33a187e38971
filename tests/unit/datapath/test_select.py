"""Which datapaths there are, and what this host lacks for them."""

from __future__ import annotations

import pytest

from pyctl.datapath import select
from pyctl.doctor import probe
from pyctl.errors import NotCapableError
from pyctl.model.workload import DatapathKind


@pytest.mark.parametrize("kind", select.DRIVERS)
def test_each_kind_has_its_driver(kind):
    assert select.DRIVERS[kind].kind is kind


def test_what_u32_lacks_is_named(monkeypatch):
    monkeypatch.setattr(select.u32_probe, "missing", lambda: "no act_pedit")
    select.require(DatapathKind.EBPF)
    with pytest.raises(NotCapableError, match="act_pedit"):
        select.require(DatapathKind.U32)


def test_u32_where_a_whole_ruleset_goes_in(monkeypatch):
    monkeypatch.setattr(select.u32_probe, "missing", lambda: None)
    select.require(DatapathKind.U32)


def test_doctor_speaks_of_the_same_drivers_in_the_same_order():
    assert tuple(select.DRIVERS) == probe.DRIVERS

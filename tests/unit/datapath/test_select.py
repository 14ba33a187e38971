"""Which datapath a wish gives."""

from __future__ import annotations

import pytest

from pyctl.datapath.select import DRIVERS, choose
from pyctl.errors import NotCapableError
from pyctl.model.workload import DatapathKind
from pyctl.platform import probe


def test_auto_is_the_preferred_one():
    assert choose() is DatapathKind.EBPF


@pytest.mark.parametrize("kind", DRIVERS)
def test_what_is_there_is_given_as_wished(kind):
    assert choose(kind) is kind
    assert DRIVERS[kind].kind is kind


@pytest.mark.parametrize("kind", set(DatapathKind) - set(DRIVERS))
def test_one_without_a_driver_is_refused(kind):
    with pytest.raises(NotCapableError, match=f"with the {kind} datapath"):
        choose(kind)


def test_doctor_speaks_of_the_same_drivers_in_the_same_order():
    assert tuple(DRIVERS) == probe.DRIVERS

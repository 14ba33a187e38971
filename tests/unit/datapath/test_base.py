"""Both drivers keep the one contract: its methods with its arguments, and what they say of themselves."""

from __future__ import annotations

import inspect

import pytest

from pyctl.datapath.base import Driver
from pyctl.datapath.drivers import Drivers
from pyctl.datapath.ebpf.driver import EbpfDriver
from pyctl.datapath.u32.driver import U32Driver
from pyctl.model.instance import Instance
from pyctl.model.workload import Capabilities, DatapathKind
from tests.unit.policy.makers import workload

BOTH = pytest.mark.parametrize("driver", [EbpfDriver, U32Driver])
CONTRACT = {
    name: method
    for name, method in vars(Driver).items()
    if inspect.isfunction(method) and not name.startswith("_")
}


@BOTH
@pytest.mark.parametrize("name", CONTRACT)
def test_a_driver_takes_what_the_contract_says(driver, name):
    def arguments(method):
        return [
            (one.name, one.kind)
            for one in inspect.signature(method).parameters.values()
        ]

    assert arguments(getattr(driver, name)) == arguments(CONTRACT[name])


def test_every_kind_has_its_driver_and_says_what_it_can():
    drivers = Drivers(Instance("segt-contract"))
    assert drivers.capabilities(DatapathKind.EBPF) == Capabilities(True, True, True)
    assert drivers.capabilities(DatapathKind.U32) == Capabilities(False, False, False)


@BOTH
def test_a_workload_takes_what_its_driver_can_from_it(driver):
    web = Drivers(Instance("segt-contract")).put_on(workload("web"), driver.kind)
    assert (web.datapath, web.capabilities) == (driver.kind, driver.capabilities)

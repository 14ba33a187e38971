"""A carrier and a smaller MTU at the host's side reach the workload; what was set down on purpose says nothing."""

from __future__ import annotations

import pytest

from pyctl.intercept.host_side import follow_host
from pyctl.platform.netlink import links
from tests.unit.intercept.played import splice


@pytest.fixture
def spliced(kernel):
    """Name: spliced. Scope: function. Depends: kernel. Its eth0 is."""
    kernel.port, _ = splice(kernel)
    kernel.vex = kernel.enforcer.device(kernel.port.vex)
    kernel.vin = kernel.enforcer.device(kernel.port.vin)
    kernel.far = kernel.host.device("eth0-far")
    return kernel


def follow(kernel):
    return follow_host(kernel.instance, kernel.port)


def test_a_carrier_that_goes_and_comes_is_the_workloads_too(spliced):
    ours = spliced.pod.device("eth0")
    spliced.far.flags &= ~links.IFF_UP
    assert follow(spliced) == ("eth0 has no carrier any more, as its host's side",)
    assert (ours.up, ours.carrier) == (True, False)
    assert follow(spliced) == ()
    spliced.far.flags |= links.IFF_UP
    assert follow(spliced) == ("eth0 has a carrier again, as its host's side",)
    assert ours.carrier
    assert follow(spliced) == ()


def test_a_port_that_was_set_down_says_nothing_about_the_host(spliced):
    spliced.vex.flags &= ~links.IFF_UP
    spliced.vex.mtu = 1200
    assert follow(spliced) == ()
    assert spliced.vin.up


def test_a_parent_that_shrinks_takes_the_workloads_mtu_down(spliced):
    spliced.vex.mtu = 1200
    assert follow(spliced) == ("eth0 has MTU 1200 by now, as its host's side",)
    ours = spliced.pod.device("eth0")
    assert (ours.mtu, spliced.vin.mtu) == (1200, 1200)
    assert follow(spliced) == ()
    spliced.vex.mtu = 1400
    assert follow(spliced) == (), "a larger one is not for us to give"


def test_a_workload_that_has_a_smaller_one_keeps_it(spliced):
    ours = spliced.pod.device("eth0")
    ours.mtu, spliced.vex.mtu = 1000, 1200
    follow(spliced)
    assert (ours.mtu, spliced.vin.mtu) == (1000, 1200)


def test_of_a_workload_that_is_gone_nothing_is_changed(spliced):
    spliced.vex.mtu = 1200
    spliced.ended.add(spliced.process.netns)
    follow(spliced)
    assert spliced.pod.device("eth0").mtu == 1500


@pytest.mark.parametrize("end", ["vex", "vin"])
def test_half_a_pair_says_nothing(spliced, end):
    spliced.enforcer.devices.remove(getattr(spliced, end))
    assert follow(spliced) == ()

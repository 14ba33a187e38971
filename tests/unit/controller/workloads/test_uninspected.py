"""Quarantine cuts what is not inspected, and its end sets it up again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller.workloads import uninspected as module
from pyctl.controller.workloads.uninspected import cover, look, names, release
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.uninspected import Uninspected
from pyctl.model.workload import Mode
from tests.unit.policy.makers import port, workload

ETH1 = Uninspected("eth1", "it is not spliced")
TUN0 = Uninspected("tun0", "it is of kind tun, and leads to a process")
WEB = workload("web", port(1))
SHUT = WEB.forced(Mode.QUARANTINE)


def put(host, load):
    host.registry.put(load)
    return load


def cut(host) -> tuple[str, ...]:
    return host.registry.by_id["web"].cut


def test_what_is_not_inspected_is_remembered_until_it_is_gone(host):
    host.uninspected = (ETH1,)
    assert look(host.context, WEB) == (ETH1,)
    assert host.context.uninspected == {"web": (ETH1,)}
    host.uninspected = ()
    assert look(host.context, WEB) == ()
    assert host.context.uninspected == {}


def test_of_a_workload_that_ended_nothing_is_known(host, monkeypatch):
    host.uninspected = (ETH1,)
    look(host.context, WEB)

    def ended(*_):
        raise NotFoundError("its namespace is gone")

    monkeypatch.setattr(module, "uninspected", ended)
    assert look(host.context, WEB) == ()
    assert host.context.uninspected == {}


def test_a_port_that_is_not_steered_says_why(host):
    host.context.unsteered = {1: "no room", 2: "another's"}
    (found,) = look(host.context, WEB)
    assert found.interface == "eth0"
    assert found.reason.endswith("carries nothing: no room")


def test_outside_quarantine_nothing_is_cut(host):
    host.uninspected = (ETH1,)
    cover(host.context, put(host, WEB))
    assert host.sides == []
    assert cut(host) == ()


def test_quarantine_that_covers_all_is_silent(host):
    cover(host.context, put(host, SHUT))
    assert host.sides == []


def test_quarantine_cuts_and_says_what_it_does_not_hold_for(host):
    host.uninspected = (ETH1, TUN0)
    host.no_host_side = {"tun0"}
    with pytest.raises(SegctlError) as told:
        cover(host.context, put(host, SHUT))
    assert names((ETH1, TUN0)) in told.value.tried
    assert "the host's end of eth1 was set down" in told.value.state
    assert "tun0 has no end at the host" in told.value.state
    assert host.sides == [("eth1", False), ("tun0", False)]
    assert cut(host) == ("eth1", "tun0")
    assert host.holds(), "a later agent knows what to set up again"


def test_what_is_inspected_by_now_is_set_up_and_the_rest_stays_down(host):
    host.uninspected = (TUN0,)
    with pytest.raises(SegctlError):
        cover(host.context, put(host, replace(SHUT, cut=("eth1", "tun0"))))
    assert host.sides == [("eth1", True), ("tun0", False)]
    assert cut(host) == ("tun0",)


def test_the_end_of_quarantine_sets_up_again(host):
    host.uninspected = (ETH1,)
    cover(host.context, put(host, replace(WEB, cut=("eth1", "tun0"))))
    assert host.sides == [("eth1", True), ("tun0", True)]
    assert cut(host) == ()


@pytest.mark.parametrize("error", [SegctlError("refused"), OSError(19, "no device")])
def test_what_could_not_be_set_up_is_told_and_not_tried_for_ever(host, error):
    host.no_side_set = error
    release(host.context, put(host, replace(WEB, cut=("eth1",))))
    assert host.recorded == [f"eth1 could not be set up again: {error}"]
    assert cut(host) == ()


def test_a_workload_that_is_detached_is_not_registered_again(host):
    release(host.context, replace(WEB, cut=("eth1",)))
    assert host.sides == [("eth1", True)]
    assert host.registry.get("web") is None

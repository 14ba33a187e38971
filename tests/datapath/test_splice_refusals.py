"""What would break a workload is refused, and the workload untouched."""

from __future__ import annotations

import os

import pytest

from pyctl.errors import NotFoundError, RefusedError
from pyctl.intercept.survey.select import select_interfaces
from pyctl.model.workload import ProcessRef
from pyctl.platform.process import process_ref
from tests import packets
from tests.lab.datapath.splice import Rig, splice
from tests.lab.net.snapshot import assert_same, picture

SORT_ALL = (
    *("tc", "filter", "add", "dev", "eth0", "egress", "u32", "match", "u32", "0", "0"),
    *("classid", "1:1"),
)


def refused(rig: Rig, words: str, interface: str = "eth0") -> None:
    before = picture(rig.pod)
    with pytest.raises(RefusedError, match=words) as caught:
        rig.splice(interface)
    assert caught.value.state == "nothing was changed"
    assert_same(before, picture(rig.pod))
    assert rig.ports() == []


def test_no_such_pid_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no process 4194304"):
        process_ref(4194304)


def test_a_pid_that_is_another_process_by_now_is_not_found(rig: Rig) -> None:
    was = rig.process
    stale = ProcessRef(was.pid, was.start_time, (was.netns[0], 1))
    with pytest.raises(NotFoundError, match=f"process {was.pid}"):
        splice(rig.instance, stale, "eth0", 7, rig.wire)


def test_the_agents_own_namespace_is_refused(rig: Rig) -> None:
    with pytest.raises(RefusedError, match="this agent"):
        splice(rig.instance, process_ref(os.getpid()), "eth0", 7, rig.wire)


def test_an_interface_that_is_not_there_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFoundError, match="no interface eth9"):
        rig.splice("eth9")


def test_an_interface_that_is_down_and_has_no_address_is_refused(rig: Rig) -> None:
    rig.pod.run("ip", "addr", "flush", "dev", "eth0")
    rig.pod.run("ip", "link", "set", "eth0", "down")
    refused(rig, "is down and has no address")


def test_an_interface_with_a_filter_of_its_own_is_refused(rig: Rig) -> None:
    rig.pod.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
    rig.pod.run(*SORT_ALL)
    refused(rig, "a clsact qdisc with filters")


def test_an_interface_with_an_upper_is_refused(rig: Rig) -> None:
    rig.pod.run(
        *("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan"),
        *("mode", "bridge"),
    )
    refused(rig, "mv0 on top of it")


def test_an_interface_with_a_macvlan_in_another_namespace_is_refused(rig: Rig) -> None:
    rig.pod.run(*("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan"))
    rig.pod.run("ip", "link", "set", "mv0", "netns", rig.other.path)
    rig.other.run("ip", "link", "set", "mv0", "up")
    refused(rig, "the MAC .* of a device elsewhere")


def test_another_kind_is_refused_by_name(rig: Rig) -> None:
    rig.pod.run("ip", "link", "add", "br1", "type", "bridge")
    rig.pod.run("ip", "addr", "add", f"{packets.leased_ip4}/32", "dev", "br1")
    refused(rig, "br1 is of kind bridge", "br1")


def test_other_interfaces_go_on_with_a_warning(rig: Rig) -> None:
    rig.pod.run("ip", "link", "add", "br1", "type", "bridge")
    rig.pod.run("ip", "addr", "add", f"{packets.leased_ip4}/32", "dev", "br1")
    chosen, warnings = select_interfaces(rig.process)
    assert chosen == ("eth0",)
    assert warnings == ("br1 is of kind bridge and stays as it is",)


def test_a_workload_without_any_address_has_nothing_to_splice(rig: Rig) -> None:
    rig.pod.run("ip", "addr", "flush", "dev", "eth0")
    rig.pod.run("ip", "link", "set", "eth0", "down")
    with pytest.raises(RefusedError, match="no interface to splice"):
        select_interfaces(rig.process)


def test_a_wanted_interface_that_is_not_there_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFoundError, match="eth7"):
        select_interfaces(rig.process, ("eth0", "eth7"))


def test_an_inspected_interface_that_was_moved_is_not_taken_for_anothers(
    rig: Rig,
) -> None:
    """Its port is the first workload's, whose mark it bears."""
    port = rig.splice()
    rig.pod.run("ip", "link", "set", "eth0", "netns", str(rig.other.pid), "name", "e9")
    with pytest.raises(RefusedError, match="the inspected interface of process"):
        splice(rig.instance, process_ref(rig.other.pid), "e9", 9, rig.wire)
    assert sorted(rig.ports()) == sorted([port.vex, port.vin])

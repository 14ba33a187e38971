"""All interfaces of a workload are attached, or none; what was refused leaves all as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller.workloads.attach import attach, rename
from pyctl.datapath.ebpf.driver import EbpfDriver
from pyctl.datapath.u32.driver import U32Driver
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.intercept.uninspected import Uninspected
from pyctl.model.workload import (
    ClaimState,
    DatapathKind,
    Fail,
    Mode,
    Offload,
    RuntimeKind,
)
from pyctl.state.requests import AttachRequest
from tests.unit.controller.played import IP, OTHER_IP, no_room

THREE = {"eth0": (IP,), "eth1": (OTHER_IP,), "eth2": ()}
WEB = AttachRequest(container="web")


def started(host, name: str = "web", pid: int = 11, **interfaces):
    """A container runs that nobody has attached."""
    host.runs(pid, **interfaces)
    return host.starts(name, pid)


def attached(host, name: str = "web", pid: int = 11, **interfaces):
    """A container runs, and is attached."""
    started(host, name, pid, **interfaces)
    found = attach(host.context, AttachRequest(container=name)).workload
    host.recorded.clear()
    host.kernel.calls.clear()
    return found


def state(host):
    """All that an attach changes."""
    return (
        dict(host.registry.by_id),
        dict(host.store.workloads),
        list(host.spliced),
        host.context.steering.generations,
    )


def test_a_container_is_attached_with_all_that_it_has(host):
    container = started(host, **THREE)
    result = attach(host.context, WEB)
    web = host.registry.by_id[container.short_id]
    assert (result.workload, result.container) == (web, container)
    assert [one.interface for one in web.ports] == ["eth0", "eth1", "eth2"]
    assert [one.port_id for one in web.ports] == [1, 2, 3]
    assert host.spliced == ["11 eth0", "11 eth1", "11 eth2"]
    assert set(host.context.steering.generations) == {1, 2, 3}
    assert web.all_interfaces, "later interfaces are its own too"
    assert host.holds()
    assert host.recorded[-1].startswith("attached (eth0, eth1, eth2) in")


def test_of_interfaces_that_are_named_these_alone_are_attached(host):
    started(host, **THREE)
    web = attach(host.context, replace(WEB, interfaces=("eth1",))).workload
    assert host.spliced == ["11 eth1"]
    assert not web.all_interfaces
    assert web.found == (IP,), "addresses beside it are its own all the same"


@pytest.mark.parametrize("when", ["no_splice", "no_splice_after"])
@pytest.mark.parametrize("interface", ["eth0", "eth1", "eth2"])
def test_a_splice_that_fails_gives_the_former_back(host, when, interface):
    started(host, **THREE)
    getattr(host, when)[interface] = no_room()
    with pytest.raises(SegctlError, match="no room"):
        attach(host.context, WEB)
    assert state(host) == ({}, {}, [], {})


@pytest.mark.parametrize("when", ["no_splice", "no_splice_after"])
def test_interfaces_that_come_later_are_attached_together_or_not(host, when):
    attached(host, eth0=(IP,))
    host.interfaces[host.processes[11].netns] = THREE
    before = state(host)
    getattr(host, when)["eth2"] = no_room()
    with pytest.raises(SegctlError, match="no room"):
        attach(host.context, WEB)
    (now, on_disk, spliced, generations) = state(host)
    assert [one.ports for one in now.values()] == [
        one.ports for one in before[0].values()
    ]
    assert on_disk == now
    assert (spliced, set(generations)) == (before[2], set(before[3]))


def test_a_driver_that_refuses_a_port_refuses_the_workload(host):
    started(host)
    host.kernel.refuses["attach"] = no_room()
    with pytest.raises(SegctlError, match="no room"):
        attach(host.context, WEB)
    assert state(host) == ({}, {}, [], {})


def test_what_cannot_be_given_back_stays_known(host):
    """So that the next detach does the rest; what failed at first is what is told."""
    container = started(host, **THREE)
    host.no_splice["eth1"] = no_room()
    host.no_unsplice["eth0"] = SegctlError("busy")
    with pytest.raises(SegctlError, match="no room"):
        attach(host.context, WEB)
    (left,) = host.registry.by_id[container.short_id].ports
    assert (left.interface, host.spliced) == ("eth0", ["11 eth0"])
    assert host.holds()


def test_a_dry_run_says_what_would_be_done_and_touches_nothing(host):
    started(host, **THREE)
    order = replace(WEB, offload=Offload.OFF, dry_run=True)
    result = attach(host.context, order)
    assert result.workload is None
    assert result.plan[:3] == ["splice eth0", "splice eth1", "splice eth2"]
    assert "switch its offloads" in result.plan[3]
    assert state(host) == ({}, {}, [], {})
    assert (host.kernel.calls, host.store.port_id) == ([], 0)
    assert (host.offloads, host.bridge, host.recorded) == ([], [], [])


def test_a_dry_run_changes_no_option(host):
    attached(host)
    before = state(host)
    order = replace(WEB, mode=Mode.PROTECT, labels={"tier": "one"}, dry_run=True)
    result = attach(host.context, order)
    assert "set attach_mode to protect" in result.plan
    assert (result.workload, result.already) == (None, True)
    assert state(host) == before
    assert host.kernel.calls == []


def test_a_dry_run_says_who_makes_room_for_a_container_that_started_anew(host):
    attached(host)
    host.starts("web", 12)
    before = state(host)
    plan = attach(host.context, replace(WEB, dry_run=True)).plan
    assert plan == [
        "call web (process 11) web-pid-11: it lives on in its former network namespace",
        "splice eth0",
    ]
    assert (state(host), host.recorded, host.kernel.calls) == (before, [], [])


def test_a_dry_run_says_what_is_cleaned_up_for_a_container_that_started_anew(host):
    attached(host)
    host.ends(11)
    host.starts("web", 12)
    before = state(host)
    plan = attach(host.context, replace(WEB, dry_run=True)).plan
    assert plan == [
        "clean up web, whose process 11 has ended",
        "splice eth0",
    ]
    assert (state(host), host.recorded, host.kernel.calls) == (before, [], [])


def test_a_dry_run_says_who_leaves_the_name_to_the_next_container(host):
    former = attached(host)
    host.ends(11)
    host.processes[21] = replace(former.process, pid=21)
    host.containers.clear()
    host.starts("web", 12, id="b" * 64)
    before = state(host)
    plan = attach(host.context, replace(WEB, dry_run=True)).plan
    assert plan[0].startswith(f"call web (process 21) web-{former.id}: ")
    assert (state(host), host.recorded, host.kernel.calls) == (before, [], [])


def test_what_a_dry_run_says_of_room_is_what_the_attach_does(host):
    attached(host)
    host.starts("web", 12)
    said = attach(host.context, replace(WEB, dry_run=True)).plan[0]
    attach(host.context, WEB)
    assert host.registry.by_id["pid-11"].name in said


def test_a_name_of_another_is_refused(host):
    attached(host)
    started(host, "app", 12)
    before = state(host)
    with pytest.raises(RefusedError, match="pid 11"):
        attach(host.context, AttachRequest(container="app", name="web"))
    with pytest.raises(RefusedError, match="--name"):
        attach(host.context, AttachRequest(pid=12, name="web"))
    assert state(host) == before


def test_an_attached_one_does_not_get_the_name_of_another(host):
    attached(host)
    attached(host, "app", 12)
    before = state(host)
    with pytest.raises(RefusedError):
        attach(host.context, AttachRequest(container="app", name="web"))
    assert state(host) == before


def test_where_nobody_looks_on_a_taken_name_becomes_another(host):
    attached(host)
    app = started(host, "app", 12)
    order = AttachRequest(container="app", name="web", automatic=True)
    assert attach(host.context, order).workload.name == f"web-{app.short_id}"


def test_nobody_is_not_attached(host):
    with pytest.raises(NotFoundError):
        attach(host.context, AttachRequest(pid=404))
    assert state(host) == ({}, {}, [], {})


def test_a_container_that_starts_anew_sets_its_living_former_self_aside(host):
    former = attached(host)
    host.starts("web", 12)
    now = attach(host.context, WEB).workload
    assert (now.id, now.name, now.process.pid) == (former.id, "web", 12)
    aside = host.registry.by_id["pid-11"]
    assert (aside.name, aside.runtime) == ("web-pid-11", RuntimeKind.PROCESS)
    assert aside.ports == former.ports, "it stays inspected"
    assert host.spliced == ["11 eth0", "12 eth0"]
    assert host.holds()
    assert any("lives on in its former one" in line for line in host.recorded)


def test_a_container_that_starts_anew_takes_the_place_of_its_dead_former_self(
    host,
):
    former = attached(host)
    host.ends(11)
    host.starts("web", 12)
    now = attach(host.context, WEB).workload
    assert dict(host.registry.by_id) == {former.id: now}
    assert host.spliced == ["12 eth0"]
    assert set(host.context.steering.generations) == {2}


def test_who_lost_its_container_leaves_the_name_to_the_next_one(host):
    former = attached(host)
    host.ends(11)
    host.processes[21] = replace(former.process, pid=21)
    host.containers.clear()
    other = host.starts("web", 12, id="b" * 64)
    now = attach(host.context, WEB).workload
    assert (now.id, now.name) == (other.short_id, "web")
    left = host.registry.by_id[former.id]
    assert (left.name, left.process.pid) == (f"web-{former.id}", 21)


@pytest.mark.parametrize("dry_run", [False, True])
def test_who_enters_the_namespace_of_one_that_has_ended_stands_for_it(host, dry_run):
    web = attached(host)
    host.ends(11)
    late = host.processes[21] = replace(web.process, pid=21, start_time=21)
    order = AttachRequest(pid=21, labels={"tier": "front"}, dry_run=dry_run)
    assert attach(host.context, order).already
    now = host.registry.by_id[web.id]
    assert now.process == (web.process if dry_run else late)
    assert now.labels == ({} if dry_run else {"tier": "front"})
    assert host.holds()


def test_who_is_attached_already_is_left_alone(host):
    attached(host)
    before = state(host)
    result = attach(host.context, WEB)
    assert result.already
    assert result.plan == ["attached already; nothing to change"]
    assert state(host) == before
    assert host.kernel.calls == []


def test_options_are_changed_of_an_attached_one(host):
    web = attached(host)
    order = replace(
        WEB, name="shop", mode=Mode.PROTECT, fail=Fail.OPEN, labels={"tier": "one"}
    )
    result = attach(host.context, order)
    now = host.registry.by_id[web.id]
    assert (now.name, now.attach_mode, now.fail) == ("shop", Mode.PROTECT, Fail.OPEN)
    assert now.labels == {"tier": "one"}
    assert "set name to shop" in result.plan
    assert "update" in host.kernel.calls
    attach(host.context, replace(WEB, labels={"tier": None}))
    now = host.registry.by_id[web.id]
    assert (now.name, now.labels) == ("shop", {}), "what was not said stays"


def test_addresses_that_came_since_are_its_own_when_it_is_attached_again(host):
    web = attached(host)
    host.interfaces[web.process.netns] = {"eth0": (OTHER_IP,)}
    result = attach(host.context, WEB)
    assert f"{OTHER_IP} is its own from now on" in result.plan
    assert f"{IP} is its own no more" in result.plan


@pytest.mark.parametrize(
    "error", [SegctlError("no such MTU"), OSError(95, "no such MTU")], ids=type
)
@pytest.mark.parametrize("refuses", ["no_follow", "no_switch"])
def test_options_that_the_kernel_refuses_are_put_back(host, refuses, error):
    attached(host)
    setattr(host, refuses, error)
    (before, on_disk, spliced, _) = state(host)
    with pytest.raises(type(error), match="no such MTU"):
        attach(host.context, replace(WEB, mode=Mode.PROTECT, offload=Offload.OFF))
    assert state(host)[:3] == (before, on_disk, spliced)
    assert host.context.steering.applied.ports[1].mode is Mode.DISCOVER
    assert host.context.due() == []


def test_options_that_the_engine_refuses_are_put_back_and_due(host):
    attached(host)
    before = dict(host.registry.by_id)
    host.kernel.refuses["publish"] = no_room()
    with pytest.raises(SegctlError, match="no room"):
        attach(host.context, replace(WEB, mode=Mode.PROTECT))
    assert dict(host.registry.by_id) == before
    assert host.context.due() != []
    host.kernel.refuses.clear()
    host.context.refresh()
    assert host.context.steering.applied.ports[1].mode is Mode.DISCOVER


def test_a_workload_moves_to_another_datapath(host):
    web = attached(host)
    assert web.capabilities == EbpfDriver.capabilities
    changes = attach(host.context, replace(WEB, datapath=DatapathKind.U32)).plan
    assert changes == ["set datapath to u32"]
    assert host.registry.by_id[web.id].datapath is DatapathKind.U32
    assert host.registry.by_id[web.id].capabilities == U32Driver.capabilities
    assert host.kernel.calls.count("hand_over") == 1


def test_a_move_that_fails_leaves_it_on_its_datapath(host):
    attached(host)
    before = dict(host.registry.by_id)
    host.kernel.refuses["hand_over"] = no_room()
    with pytest.raises(SegctlError, match="no room"):
        attach(host.context, replace(WEB, datapath=DatapathKind.U32))
    assert dict(host.registry.by_id) == before
    assert host.holds()


def test_a_signal_in_the_middle_of_a_move_leaves_the_registry_as_it_was(host):
    attached(host)
    before = dict(host.registry.by_id)
    host.kernel.refuses["hand_over"] = SystemExit(143)  # type: ignore[assignment]
    with pytest.raises(SystemExit):
        attach(host.context, replace(WEB, datapath=DatapathKind.U32))
    assert dict(host.registry.by_id) == before


@pytest.mark.parametrize(("automatic", "own"), [(False, {IP, OTHER_IP}), (True, {IP})])
def test_where_nobody_looks_on_only_what_a_runtime_gave_is_its_own(
    host, automatic, own
):
    host.runs(11, eth0=(IP, OTHER_IP))
    host.starts("web", 11, addresses=(IP,))
    web = attach(host.context, replace(WEB, automatic=automatic)).workload
    assert {*web.given} == own
    states = {one.address: one.state for one in web.claims}
    assert states == ({OTHER_IP: ClaimState.UNUSED} if automatic else {})


def test_an_address_of_another_on_its_bridge_is_not_the_newcomers(host):
    attached(host, "web", 11, eth0=(IP,))
    host.places, host.coming = {1: 7}, 7
    app = attached(host, "app", 12, eth0=(IP,))
    assert app.given == ()
    assert [one.state for one in app.claims] == [ClaimState.REFUSED]


def test_an_interface_that_comes_by_itself_brings_what_the_runtime_says(host):
    web = attached(host, eth0=(IP,))
    host.interfaces[web.process.netns] = {"eth0": (IP,), "eth1": (OTHER_IP,)}
    order = AttachRequest(pid=11, hotplug=True, told=(OTHER_IP,))
    now = attach(host.context, order).workload
    assert [one.addresses for one in now.ports] == [(IP,), (OTHER_IP,)]
    assert now.told == (OTHER_IP,)


def test_an_interface_that_comes_by_itself_brings_nothing_else(host):
    web = attached(host, eth0=(IP,))
    host.interfaces[web.process.netns] = {"eth0": (IP,), "eth1": (OTHER_IP,)}
    now = attach(host.context, AttachRequest(pid=11, hotplug=True)).workload
    assert [one.addresses for one in now.ports] == [(IP,), ()]
    assert [one.address for one in now.claims] == [OTHER_IP]


def test_what_an_operator_should_know_is_said(host):
    started(host)
    host.rules_networks = True
    host.uninspected = (Uninspected("tun0", "it is of kind tun"),)
    warnings = "\n".join(attach(host.context, WEB).warnings)
    assert "CAP_NET_ADMIN" in warnings
    assert "not inspected: tun0: it is of kind tun" in warnings


def test_what_a_splice_loses_is_said_and_told(host):
    started(host)
    host.splice_loses = "eth0 had a filter, which is lost"
    assert host.splice_loses in attach(host.context, WEB).warnings
    assert host.recorded[0] == host.splice_loses


def test_offloads_are_switched_off_with_the_bridges(host):
    started(host)
    attach(host.context, replace(WEB, offload=Offload.OFF))
    assert (host.offloads, host.bridge) == ([Offload.OFF], [Offload.OFF])


@pytest.mark.parametrize("error", [OSError(95, "not supported"), no_room()], ids=type)
def test_offloads_that_stay_on_are_told_with_what_holds_and_what_to_do(host, error):
    container = started(host)
    host.no_switch = error
    with pytest.raises(SegctlError) as caught:
        attach(host.context, replace(WEB, offload=Offload.OFF))
    told = caught.value
    assert told.tried.startswith("switching the offloads of web off failed: ")
    assert told.state == "it is attached and inspected, with its offloads on"
    assert "attach it again" in told.advice
    web = host.registry.by_id[container.short_id]
    assert (web.offload, len(web.ports)) == (Offload.ON, 1)
    assert host.offloads[-1] is Offload.ON, "those that had been switched are back"
    host.no_switch = None
    again = attach(host.context, replace(WEB, offload=Offload.OFF))
    assert again.workload.offload is Offload.OFF, "as it was advised"


def test_the_policy_is_taught_before_the_cut_and_the_ports_are_steered_in_it(host):
    """What takes long is done before: within the cut, nothing is compiled."""
    started(host)
    calls, compile_ = host.kernel.calls, host.context.compile

    def noted(*joining):
        calls.append("compile")
        return compile_(*joining)

    host.context.compile = noted
    attach(host.context, WEB)
    assert calls[: calls.index("commit") + 1] == [
        *("compile", "node_set", "listeners_set", "cut"),
        *("holder", "attach", "publish", "write_owners", "commit"),
    ]
    pair, port = host.context.steering._pairs[1], host.registry.all()[0].ports[0]
    assert (pair.vex_ifindex, pair.vin_ifindex) == (11, 1)
    assert (port.vex_ifindex, port.vin_ifindex) == (11, 1)


def test_a_container_without_an_interface_waits_for_one(host):
    container = started(host)
    host.interfaces[host.processes[11].netns] = {}
    web = attach(host.context, replace(WEB, automatic=True)).workload
    assert host.registry.by_id[container.short_id] == web
    assert (web.ports, web.all_interfaces) == ((), True)
    assert host.recorded[-1].startswith("attached (no interface yet)")


def test_a_mode_that_was_set_before_holds_and_is_said(host):
    web = attached(host)
    host.context.memory.keep_mode(web.forced(Mode.QUARANTINE))
    host.registry.drop(web.id)
    result = attach(host.context, WEB)
    assert result.workload.forced_mode is Mode.QUARANTINE
    assert any("segctl mode web auto" in line for line in result.warnings)


def test_a_container_that_is_renamed_is_called_so(host):
    web = attached(host)
    container = replace(host.containers["web"], name="shop")
    rename(host.context, container, "somebody")
    assert host.registry.by_id[web.id].name == "web", "that was not its name"
    rename(host.context, container, "web")
    assert host.registry.by_id[web.id].name == "shop"
    assert host.recorded == ["it was called web"]


def test_a_container_is_not_renamed_to_another(host):
    web = attached(host)
    attached(host, "app", 12)
    container = replace(host.containers["web"], name="app")
    with pytest.raises(RefusedError):
        rename(host.context, container, "web")
    assert host.registry.by_id[web.id].name == "web"

"""What all procedures share: one compiled policy per change, what is due, what is told of a workload."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller import context as module
from pyctl.controller.workloads.attach import attach
from pyctl.errors import SegctlError
from pyctl.model.workload import (
    ADDRESSES_MAX,
    Claim,
    ClaimState,
    DatapathKind,
    Fail,
    Mode,
    ModeSource,
    Offload,
)
from pyctl.policy.document.parse import parse
from pyctl.state.requests import AttachRequest
from pyctl.telemetry.events import Event
from tests import packets
from tests.unit.controller.played import IP, OTHER_IP, no_room
from tests.unit.controller.workloads.test_attach import WEB as TO_ATTACH
from tests.unit.controller.workloads.test_attach import started
from tests.unit.observe.makers import living
from tests.unit.policy.makers import port, workload

WEB = living(workload("web", port(1, IP)), 11)
APP = living(workload("app", port(2, OTHER_IP)), 12)
POLICY = parse(
    "apiVersion: segctl/v1\n"
    f"groups: {{web: {{selector: {{name: web}}}}, far: {{cidrs: [{packets.world_net_ip4}]}}}}\n"
    "modes: {web: monitor}\n"
)


def steered(host, *loads) -> None:
    """The loads are attached, and steered."""
    for load in loads:
        for one in load.ports:
            host.context.prepare(load, one)
        host.registry.put(load)
        for one in load.ports:
            host.context.steer(load, one)
    host.context.refresh()


def test_a_refresh_that_is_refused_stays_due_until_one_is_taken(host):
    woken: list[list[str]] = []
    steered(host, WEB)
    host.context.on_due = lambda: woken.append(host.context.due())
    host.kernel.refuses["node_set"] = no_room()
    host.context.policy = POLICY
    with pytest.raises(SegctlError, match="no room"):
        host.context.refresh()
    assert woken == [["engine and kernel follow the last change"]]
    host.kernel.refuses.clear()
    assert host.context.refresh() == 1
    assert host.context.due() == []
    assert len(woken) == 1


def test_what_is_due_says_why(host):
    host.context.unsteered = {7: "no room"}
    host.context.unfinished = ("a splice of eth0",)
    assert host.context.due() == ["port 7: no room", "a splice of eth0"]


def test_a_policy_is_compiled_once_per_change(host):
    host.registry.put(WEB)
    first = host.context.compile()
    assert host.context.compile() is first
    host.registry.put(replace(WEB))
    assert host.context.compile() is first, "equal workloads are no change"
    host.registry.put(APP)
    second = host.context.compile()
    assert (second is first, set(second.ports)) == (False, {1, 2})
    host.context.policy = POLICY
    assert host.context.compile() is not second
    assert host.context.compile().ports[1].mode is Mode.MONITOR


def test_a_newcomer_is_compiled_in_before_it_is_registered(host):
    host.registry.put(WEB)
    assert set(host.context.compile(APP).ports) == {1, 2}
    assert set(host.context.compile().ports) == {1}


def test_another_policy_is_tried_without_touching_the_one_in_force(host):
    host.registry.put(WEB)
    before = host.context.compile()
    assert host.context.compile_with(POLICY).ports[1].mode is Mode.MONITOR
    assert host.context.compile() is before


def test_a_port_id_of_which_something_is_left_is_not_given_again(host):
    host.registry.put(workload("web", port(1)))
    host.kernel.left = {2}
    assert host.context.new_port_id() == 3
    assert host.store.port_id == 3, "on disk before it is used"
    host.registry.drop("web")
    host.kernel.left = set()
    assert host.context.new_port_id() == 4, "what was free longest comes first"


def test_the_listeners_asked_for_are_those_of_the_process_of_now(host):
    steered(host, WEB)
    host.registry.put(replace(WEB, process=replace(WEB.process, pid=99)))
    host.kernel.on_new_engine()
    assert host.asked == [11, 99]


@pytest.mark.parametrize(("claims", "lines"), [(1, 1), (4, 4), (5, 5), (60, 5)])
def test_of_many_claims_a_few_are_told(host, claims, lines):
    texts = [f"{packets.pod_one_ip6}:{number:x}/64" for number in range(claims)]
    claiming = replace(WEB, claims=tuple(Claim(text, "eth0") for text in texts))
    host.registry.put(claiming)
    host.context.refresh()
    assert len(host.recorded) == lines
    assert f"it gave itself {texts[0]} (eth0): unused" in host.recorded[0]
    if claims > 4:
        assert host.recorded[-1] == f"and {claims - 4} more"
    host.context.refresh()
    assert len(host.recorded) == lines, "what is known is not told again"


def test_an_address_that_another_has_by_now_is_marked_as_taken(host):
    host.registry.put(replace(WEB, absent=(IP,)))
    host.registry.put(replace(APP, ports=(port(2, IP),)))
    host.context.refresh()
    assert host.registry.by_id["web"].taken == (IP,)


@pytest.mark.parametrize(
    ("kind", "fail", "warned"),
    [
        (DatapathKind.U32, Fail.OPEN, True),
        (DatapathKind.U32, Fail.CLOSED, False),
        (DatapathKind.U32, Fail.AUTO, False),
        (DatapathKind.EBPF, Fail.OPEN, False),
    ],
)
def test_a_datapath_that_cannot_fail_open_is_warned_of(host, kind, fail, warned):
    web = host.kernel.put_on(replace(WEB, fail=fail), kind)
    lines = host.context.identity_warnings(web)
    assert any("fails closed" in line for line in lines) is warned


def test_an_address_that_gives_more_than_meant_is_warned_of(host):
    far = f"{packets.world_ip4}/24"
    host.context.policy = POLICY
    refused = Claim(OTHER_IP, "eth0", ClaimState.REFUSED, "app has it")
    web = replace(WEB, found=(far,), claims=(refused,))
    host.registry.put(web)
    host.registry.put(replace(APP, ports=(port(2, IP),)))
    lines = "\n".join(host.context.identity_warnings(web))
    assert f"{packets.pod_one_ip4} is shared by app and web" in lines
    assert f"{packets.world_ip4} is in the group far" in lines
    assert f"{OTHER_IP} (eth0) is not its own: app has it" in lines


def test_more_addresses_than_are_taken_are_warned_of(host):
    many = tuple(f"{packets.pod_one_ip6}:{n:x}/64" for n in range(ADDRESSES_MAX))
    whole = replace(WEB, ports=(port(1),), found=many)
    assert host.context.identity_warnings(whole) == []
    (line,) = host.context.identity_warnings(replace(whole, added=(IP,)))
    assert f"those after the first {ADDRESSES_MAX}" in line


def test_a_full_state_directory_is_warned_of(host, monkeypatch):
    assert host.context.room_warnings() == []
    monkeypatch.setattr(module, "is_full", lambda _: True)
    (line,) = host.context.room_warnings()
    assert str(host.context.instance.state_dir) in line


@pytest.mark.parametrize(("far", "kept"), [(None, True), (101, False), (999, True)])
def test_two_workloads_on_one_veth_do_not_redirect_to_peers(host, far, kept):
    mac = packets.gateway_mac
    host.registry.put(replace(WEB, ports=(replace(port(1), host_mac=mac),)))
    host.far = far
    host.context.joined(port(2))
    assert host.registry.by_id["web"].ports[0].host_mac == (mac if kept else None)


def test_the_bridge_has_its_offloads_off_while_anybody_has(host):
    host.context.switch_bridge()
    off = replace(WEB, offload=Offload.OFF)
    host.registry.put(off)
    host.context.switch_offloads(off)
    host.context.switch_offloads(off)
    assert host.offloads == [Offload.OFF] * 2
    host.registry.put(APP)
    host.context.switch_bridge()
    assert host.bridge == [Offload.ON, Offload.OFF]
    host.context.bridge_is_new()
    host.registry.drop("web")
    host.context.switch_bridge()
    assert host.bridge == [Offload.ON, Offload.OFF, Offload.OFF, Offload.ON]


@pytest.mark.parametrize(
    ("load", "kept"),
    [
        (WEB, True),
        (replace(WEB, ports=()), False),
        (replace(WEB, ports=(), all_interfaces=True), True),
    ],
    ids=["port", "bare", "waits for one"],
)
def test_a_workload_without_a_port_is_kept_if_it_waits_for_one(host, load, kept):
    host.registry.put(WEB)
    host.context.keep_or_drop(load)
    assert host.registry.get("web") == (load if kept else None)
    assert host.holds()


def test_a_container_that_does_not_run_has_its_mode_still(host):
    container = host.starts("web", 11)
    web = replace(WEB, id=container.short_id, runtime="docker")
    host.context.memory.keep(container, AttachRequest(container="web"), web)
    host.context.memory.keep_mode(web.forced(Mode.QUARANTINE))
    (lost,) = host.context.lost(host.registry.by_id)
    assert (lost.name, lost.forced_mode) == ("web", Mode.QUARANTINE)
    host.registry.put(web)
    assert host.context.lost(host.registry.by_id) == []


def test_a_mode_and_its_source_are_the_policys(host):
    host.context.policy = POLICY
    found = host.context.mode_of(WEB)
    assert (found.mode, found.source) == (Mode.MONITOR, ModeSource.POLICY)


def test_a_workload_has_an_event_for_all_and_lines_for_a_few(host):
    for number in range(50):
        host.context.happened(Event("denial", f"port {number}", workload="web"))
    assert len(host.recorded) == len(host.context.events.latest(100)) == 50
    host.context.log_sums()
    assert len(host.recorded) == 50, "a sum is for the log alone"


def test_what_is_due_can_be_read_while_it_changes(host):
    """Readers do not wait for the loop, which steers ports meanwhile."""
    context = host.context

    class Why:
        def __format__(self, _: str) -> str:
            context.unsteered.pop(2, None)
            return "no room"

    context.unsteered |= {1: Why(), 2: "no room", 3: "no room"}
    assert context.due()[0] == "port 1: no room"


def test_a_splice_gives_way_when_all_know_of_its_workload_and_names_it_as_busy(host):
    gave = []

    def give_way() -> None:
        known = [one.name for one in host.registry.all()]
        gave.append((known, set(host.context.under_way), host.kernel.calls[-1]))

    host.context.give_way = give_way
    container = started(host)
    attach(host.context, TO_ATTACH)
    assert gave == [(["web"], {container.short_id}, "commit")]
    assert host.context.under_way == set()

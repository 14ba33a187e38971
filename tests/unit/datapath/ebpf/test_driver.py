"""The eBPF driver against a kernel made of dictionaries: order, refusals, and what is left of a port."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace

import pytest

from pyctl import abi
from pyctl.datapath.ebpf import driver as module
from pyctl.datapath.ebpf.driver import HEARTBEAT_TIMEOUT_NS, PRIORITY, EbpfDriver
from pyctl.datapath.ebpf.entries import address_keys
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Counter, Mode
from pyctl.platform.bpf.commands import Program
from pyctl.platform.tc.messages import TC_H_EGRESS_HOOK, TC_H_INGRESS_HOOK
from tests import packets
from tests.unit.datapath.ebpf.kernel import VBR, VTH, Kernel, made, u32
from tests.unit.datapath.makers import PAIR

OTHER = replace(PAIR, port_id=301, vex_ifindex=7, vin_ifindex=8)
TIMEOUT_AT = abi.ffi.offsetof("struct seg_control", "heartbeat_timeout_ns")
WORKERS_AT = abi.ffi.offsetof("struct seg_control", "workers")


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setattr(Instance, "pin_root", property(lambda _: tmp_path / "pins"))
    kernel = Kernel(tmp_path / "pins" / abi.HASH)
    monkeypatch.setattr(module, "ensure_loaded", lambda _: kernel.load())
    keep = lambda pins, workers: kernel.steps.append(("keep", workers))  # noqa: E731
    monkeypatch.setattr(module.worker_maps, "keep", keep)
    monkeypatch.setattr(module, "open_map", kernel.open_map)
    monkeypatch.setattr(module, "BpfHooks", kernel.tc)
    monkeypatch.setattr(module, "RuleSets", kernel.tc)
    monkeypatch.setattr(Program, "open", kernel.open_program)
    grace = ("wait", "programs")
    monkeypatch.setattr(module, "wait_for_programs", lambda: kernel.steps.append(grace))
    driver = EbpfDriver(Instance("segt-ebpf"))
    driver.connect()
    kernel.steps.clear()
    return kernel, driver


def at(kernel: Kernel, *step: object) -> int:
    """The place of a step that was made once."""
    assert kernel.steps.count(step) == 1, step
    return kernel.steps.index(step)


def last(kernel: Kernel, what: str, *names: str) -> int:
    return max(
        number
        for number, (one, of) in enumerate(kernel.steps)
        if one == what and (not names or of in names)
    )


def first(kernel: Kernel, what: str) -> int:
    return next(n for n, (one, _) in enumerate(kernel.steps) if one == what)


def test_connect_hangs_what_all_ports_share(world):
    kernel, _ = world
    assert kernel.names(VBR) == ["from_vbr"]
    assert sorted(kernel.names(VTH)) == ["from_vth", "to_vth"]


def test_connect_sets_the_timeout_and_leaves_the_engines_heartbeat(world):
    kernel, driver = world
    kernel.control[:] = b"\xab" * len(kernel.control)
    driver.connect()
    found = struct.unpack_from("=II", kernel.control, TIMEOUT_AT)
    assert found == (HEARTBEAT_TIMEOUT_NS, 1)
    del kernel.control[TIMEOUT_AT : TIMEOUT_AT + 8]
    assert set(kernel.control) == {0xAB}


def test_each_of_several_engines_has_its_maps_and_the_timeout(world):
    kernel, _ = world
    EbpfDriver(Instance("segt-ebpf"), workers=2).connect()
    assert ("keep", 2) in kernel.steps
    second = TIMEOUT_AT + abi.sizeof("seg_control")
    for at in (TIMEOUT_AT, second):
        assert struct.unpack_from("=I", kernel.control, at) == (HEARTBEAT_TIMEOUT_NS,)
    assert struct.unpack_from("=I", kernel.control, WORKERS_AT) == (2,)


def test_connect_gives_the_new_programs_to_attached_ports(world):
    kernel, driver = world
    driver.attach(PAIR)
    driver.attach(OTHER)
    kernel.hooks[7, TC_H_INGRESS_HOOK] = [made("bpf", 7, "theirs")]
    kernel.steps.clear()
    driver.connect()
    hung = [of for what, of in kernel.steps if what == "hang"]
    assert (5, "seg_from_vex") in hung
    assert (7, "seg_from_vex") not in hung, "that link may be another's by now"
    assert (7, "seg_to_port") in hung


def test_a_port_that_refuses_the_new_programs_keeps_the_others_from_nothing(world):
    kernel, driver = world
    driver.attach(PAIR)
    driver.attach(OTHER)
    kernel.steps.clear()
    driver.connect()
    kernel.refuse_at = 1 + at(kernel, "hang", (5, "seg_from_vex"))
    kernel.steps.clear()
    driver.connect()
    assert ("hang", (7, "seg_from_vex")) in kernel.steps


def test_maps_come_before_filters_and_go_after_them(world):
    kernel, driver = world
    driver.attach(PAIR)
    assert last(kernel, "write") < first(kernel, "hang")
    assert sorted(kernel.names(5) + kernel.names(6)) == [
        *("from_vex", "from_vin", "to_port", "to_port")
    ]
    # What sets the mark hangs before what checks it.
    marks = [
        at(kernel, "hang", hook) for hook in ((5, "seg_from_vex"), (6, "seg_from_vin"))
    ]
    assert max(marks) < at(kernel, "hang", (5, "seg_to_port"))
    kernel.steps.clear()
    driver.detach(300)
    assert last(kernel, "take down") < first(kernel, "write")
    sides = [of[1] for what, of in kernel.steps if what == "take down"]
    assert sides == [TC_H_EGRESS_HOOK] * 2 + [TC_H_INGRESS_HOOK] * 2
    assert at(kernel, "wait", "programs") < last(kernel, "delete", "seg_counters")


def test_a_port_that_was_detached_leaves_nothing(world):
    kernel, driver = world
    before = kernel.state()
    driver.attach(PAIR)
    driver.publish({300: 9})
    assert driver.port_in_use(300)
    driver.detach(300)
    assert kernel.state() == before
    assert not driver.port_in_use(300)
    driver.detach(300)


def test_filters_of_others_keep_their_hook(world):
    kernel, driver = world
    driver.attach(PAIR)
    theirs = made("flower", 5)
    kernel.hooks[5, TC_H_INGRESS_HOOK].insert(0, theirs)
    driver.detach(300)
    assert kernel.hooks[5, TC_H_INGRESS_HOOK] == [theirs]
    assert kernel.clsact == {VBR, VTH, 5}


def steps_of(world, what) -> int:
    """The number of steps of a call, which is undone by the caller."""
    kernel, driver = world
    kernel.steps.clear()
    what(driver)
    return len(kernel.steps)


def test_an_attach_that_is_refused_anywhere_leaves_nothing(world):
    kernel, driver = world
    before = kernel.state()
    steps = steps_of(world, lambda one: one.attach(PAIR))
    driver.detach(300)
    assert steps > 8
    for number in range(1, steps + 1):
        kernel.steps.clear()
        kernel.refuse_at = number
        with pytest.raises(SegctlError, match="refused"):
            driver.attach(PAIR)
        kernel.refuse_at = 0
        assert kernel.state() == before, kernel.steps[number - 1]


def test_a_pair_that_is_attached_stays_so_if_attaching_it_again_is_refused(world):
    kernel, driver = world
    steps = steps_of(world, lambda one: one.attach(PAIR))
    before = kernel.state()
    for number in range(1, steps + 1):
        kernel.steps.clear()
        kernel.refuse_at = number
        with contextlib.suppress(SegctlError):
            driver.attach(PAIR)
        kernel.refuse_at = 0
        driver.repair(300)
        assert kernel.state() == before


def test_new_addresses_come_first_and_old_ones_go_last(world):
    kernel, driver = world
    driver.attach(PAIR)
    kernel.steps.clear()
    after = replace(PAIR, addresses=(f"{packets.pod_two_ip4}/32",))
    driver.update(after)
    assert set(kernel.maps["seg_addrs"]) == address_keys(after)
    changes = [of for what, of in kernel.steps if what == "write"]
    assert changes == ["seg_addrs", "seg_reinject", "seg_ports", "seg_ports"]
    assert first(kernel, "delete") > last(kernel, "write")
    kernel.steps.clear()
    driver.update(after)
    assert ("write", "seg_addrs") not in kernel.steps


def test_quarantine_waits_for_no_address(world):
    kernel, driver = world
    driver.attach(PAIR)
    kernel.steps.clear()
    driver.update(replace(PAIR, mode=Mode.QUARANTINE, addresses=(packets.pod_two_ip6,)))
    assert kernel.steps[0] == ("write", "seg_reinject")
    assert [of for _, of in kernel.steps].index("seg_addrs") == 3


def test_only_what_is_attached_is_updated(world):
    kernel, driver = world
    before = kernel.state()
    with pytest.raises(NotFoundError, match="port 300"):
        driver.update(PAIR)
    assert kernel.state() == before
    driver.attach(PAIR)
    with pytest.raises(NotFoundError, match="interfaces 5 and 8"):
        driver.update(replace(PAIR, vin_ifindex=8))


def test_a_link_has_one_port_and_a_port_id_one_pair(world):
    kernel, driver = world
    driver.attach(PAIR)
    with pytest.raises(RefusedError, match=r"interfaces \[5, 6\]"):
        driver.attach(replace(OTHER, port_id=300))
    heir = replace(PAIR, port_id=302)
    driver.attach(heir)
    assert not driver.port_in_use(300)
    for gone in (5, 6):
        del kernel.links[gone]
    driver.attach(replace(OTHER, port_id=302))
    assert {struct.unpack("=I", key)[0] for key in kernel.maps["seg_ports"]} == {7, 8}


def test_a_port_of_another_datapath_is_marked_until_it_goes(world):
    kernel, driver = world
    driver.mark_elsewhere(300, elsewhere=True)
    back = abi.unpack("seg_reinject_port", kernel.maps["seg_reinject"][u32(300)])
    assert back.vex_flags == abi.constant("SEG_PORT_ELSEWHERE")
    assert not driver.port_in_use(300)
    driver.mark_elsewhere(300, elsewhere=False)
    assert kernel.maps["seg_reinject"] == {}


MAC, OWNER, NET = ("seg_macs", b"m"), ("seg_owners", b"o"), ("seg_nets", b"n")


def test_an_address_has_its_mac_before_it_and_loses_it_after_it(world):
    kernel, driver = world
    driver.write_owners({NET: b"1", OWNER: b"2", MAC: b"3"}, whole=False)
    assert [of for _, of in kernel.steps] == ["seg_macs", "seg_owners", "seg_nets"]
    kernel.steps.clear()
    driver.write_owners(dict.fromkeys((MAC, OWNER, NET)), whole=False)
    assert [of for _, of in kernel.steps] == ["seg_nets", "seg_owners", "seg_macs"]
    assert not any(kernel.maps[name] for name, _ in (MAC, OWNER, NET))


@pytest.mark.parametrize("whole", [True, False])
def test_owners_of_an_earlier_agent_go_with_the_first_telling(world, whole):
    kernel, driver = world
    kernel.maps["seg_owners"][b"old"] = b"4"
    driver.write_owners({OWNER: b"2"}, whole=whole)
    assert (b"old" in kernel.maps["seg_owners"]) is not whole


def test_a_full_map_of_owners_is_told_and_the_rest_is_written(world):
    kernel, driver = world
    kernel.room = {"seg_macs": 0}
    with pytest.raises(RefusedError, match="seg_macs can take no more"):
        driver.write_owners({MAC: b"3", OWNER: b"2"}, whole=False)
    assert kernel.maps["seg_owners"] == {b"o": b"2"}
    kernel.steps.clear()
    kernel.refuse_at = 1
    with pytest.raises(SegctlError, match="write is refused"):
        driver.write_owners({OWNER: b"5"}, whole=False)


def test_counters_are_summed_and_reasons_never_met_are_absent(world):
    kernel, driver = world
    reason, silent = abi.REASONS[0], abi.REASONS[1]
    for which, count in ((reason, 3), (silent, 0)):
        key = abi.pack("seg_counter_key", port_id=300, reason=which.number)
        value = abi.pack("seg_counter", packets=count, bytes=10 * count, passed=1)
        kernel.maps["seg_counters"][key] = value
    assert driver.counters(300) == {reason.name: Counter(6, 60, 2)}
    assert driver.counters(301) == {}


@pytest.mark.parametrize("left", ["seg_reinject", "seg_gens", "seg_counters"])
def test_whatever_the_next_of_its_id_would_inherit_is_in_use(world, left):
    kernel, driver = world
    assert not driver.port_in_use(300)
    key, value = u32(300), bytes(7) + b"\1"
    if left == "seg_reinject":
        value = abi.pack("seg_reinject_port", vex_ifindex=5)
    if left == "seg_counters":
        key = abi.pack("seg_counter_key", port_id=300, reason=abi.REASONS[-1].number)
    kernel.maps[left][key] = value
    assert driver.port_in_use(300)
    assert not driver.port_in_use(301)


def test_what_somebody_took_down_is_named_and_hung_again(world):
    kernel, driver = world
    driver.attach(PAIR)
    assert driver.repair(300) == []
    kernel.hooks[5, TC_H_INGRESS_HOOK] = []
    kernel.hooks[VBR, TC_H_INGRESS_HOOK] = []
    kernel.clsact.discard(5)
    lines = driver.repair(300)
    assert [line.split(" bpf ")[1] for line in lines] == [
        "seg_from_vex",
        "seg_from_vbr",
    ]
    assert kernel.names(VBR) == ["from_vbr"]
    assert driver.repair(300) == []
    with pytest.raises(NotFoundError, match="port 301"):
        driver.repair(301)


def test_filters_in_front_of_ours_are_told_and_our_own_is_none(world):
    kernel, driver = world
    driver.attach(PAIR)
    assert driver.in_front(300) == []
    there = kernel.hooks[5, TC_H_INGRESS_HOOK]
    there += [made("bpf", PRIORITY, "theirs", 2), made("flower", 5), made("u32", 10002)]
    kernel.hooks[VBR, TC_H_INGRESS_HOOK].append(made("flower", 5))
    found = driver.in_front(300)
    assert [line.split(":")[0] for line in found] == [
        "in front vex pref 5",
        f"in front vex pref {PRIORITY}",
    ]


def test_rules_are_what_the_kernel_holds(world, monkeypatch):
    kernel, driver = world
    driver.attach(PAIR)
    monkeypatch.setattr(module.render, "entries", lambda _, port: [f"entry of {port}"])
    lines = driver.rules(300)
    assert lines[0].startswith("filter dev vex (ifindex 5) ingress pref 10001")
    assert lines[-2:] == ["entry of 300", "held as intended"]
    kernel.hooks[6, TC_H_EGRESS_HOOK] = []
    lines = driver.rules(300)
    assert "filter dev vin (ifindex 6) egress: none" in lines
    assert lines[-1].startswith("missing filter dev vin (ifindex 6) egress")


def test_a_namespace_that_is_gone_keeps_no_entry_of_a_port(world):
    kernel, driver = world
    driver.attach(PAIR)
    kernel.no_netns = True
    driver.detach(300)
    assert not any(kernel.maps.values())
    driver.cleanup()
    assert not kernel.pins.exists()


def test_cleanup_takes_all_down(world):
    kernel, driver = world
    driver.attach(PAIR)
    driver.attach(OTHER)
    driver.cleanup()
    assert kernel.state() == ({name: {} for name in kernel.maps}, {}, set())
    assert not kernel.pins.parent.exists()
    driver.cleanup()


def test_where_nothing_is_loaded_nothing_is_in_use(world):
    kernel, driver = world
    driver.cleanup()
    kernel.steps.clear()
    driver.detach(300)
    assert not driver.port_in_use(300)
    assert kernel.steps == []
    with pytest.raises(NotFoundError):
        driver.attach(PAIR)

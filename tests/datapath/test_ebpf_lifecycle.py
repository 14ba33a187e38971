"""Attaching, updating and detaching with the eBPF driver: nothing lost, nothing left."""

from __future__ import annotations

import dataclasses
import time

import pytest

from pyctl import abi
from pyctl.datapath.ebpf import loader
from pyctl.datapath.ebpf.driver import PRIORITY, EbpfDriver
from pyctl.datapath.maps import dump_maps
from pyctl.datapath.pins import open_map, pin_dir
from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.bpf import commands as bpf
from pyctl.platform.bpf.tc import programs
from pyctl.platform.tc.rule_sets import RuleSets
from tests import packets
from tests.lab.datapath.wiring import Wiring
from tests.lab.net.traffic import answered, ping
from tests.lab.pace import wait_for


@pytest.fixture
def one_pod(wiring: Wiring) -> Wiring:
    """Name: one_pod. Scope: function. Depends: wiring. One attached pod in protect."""
    return wiring.start_pods(1)


def leftovers(wiring: Wiring) -> dict[str, list]:
    """Entries of any map, but the engine's heartbeat and what belongs to no port."""
    rows = dump_maps(wiring.instance)
    del rows["seg_control"]
    rows["seg_counters"] = [row for row in rows["seg_counters"] if row["port_id"]]
    return {name: found for name, found in rows.items() if found}


def flow_of(port_id: int) -> tuple[bytes, bytes]:
    return abi.pack("seg_flow_key4", port_id=port_id), bytes(abi.sizeof("seg_flow"))


def test_detach_leaves_nothing(one_pod: Wiring):
    pair = one_pod.pairs[0]
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4)) == (3, 3)
    one_pod.driver.publish({pair.port_id: 7})
    assert one_pod.driver.port_in_use(pair.port_id)
    one_pod.driver.detach(pair.port_id)
    assert leftovers(one_pod) == {}
    assert not one_pod.driver.port_in_use(pair.port_id)
    shown = one_pod.enforcer.run("tc", "qdisc", "show").stdout
    assert shown.count("clsact") == 2, "those of vbr and vth stay"
    assert "clsact ffff: dev vbr-neuv" in shown
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4, wait=0.2)) == (3, 0)


def test_detach_attach_and_cleanup_are_idempotent(one_pod: Wiring):
    driver, pair = one_pod.driver, one_pod.pairs[0]
    driver.attach(pair)
    driver.attach(pair)
    with RuleSets(one_pod.instance.netns) as tc:
        assert len(programs(tc.filters(pair.vex_ifindex))) == 1
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4)) == (3, 3)
    for _ in range(2):
        driver.detach(pair.port_id)
    for _ in range(2):
        driver.cleanup()
    assert not one_pod.instance.pin_root.exists()
    assert "clsact" not in one_pod.enforcer.run("tc", "qdisc", "show").stdout
    driver.detach(pair.port_id)
    assert not driver.port_in_use(pair.port_id)


def test_detach_works_with_the_links_gone(one_pod: Wiring):
    for name in ("vex0", "vin0"):
        one_pod.enforcer.run("ip", "link", "del", name)
    one_pod.driver.detach(one_pod.pairs[0].port_id)
    assert leftovers(one_pod) == {}


def test_a_flow_left_behind_is_nobodys_and_a_count_keeps_the_id_in_use(wiring: Wiring):
    """No generation is ever met again, so the next owner of an id inherits no flow; it would
    inherit a count. The flow is the engine's to take out."""
    driver = wiring.driver
    with open_map(wiring.instance, "seg_flows4") as flows:
        flows.update(*flow_of(9))
    assert not driver.port_in_use(9)
    with open_map(wiring.instance, "seg_counters") as counters:
        key = abi.pack("seg_counter_key", port_id=9, reason=1)
        counters.update(key, bytes(counters.slot_bytes * bpf.possible_cpus()))
    assert driver.port_in_use(9)
    driver.detach(9)
    assert not driver.port_in_use(9)
    assert set(leftovers(wiring)) == {"seg_flows4"}


def test_new_programs_take_over_without_losing_a_packet(one_pod: Wiring):
    """An upgrade: sources changed, maps stay, filters are replaced under traffic."""
    with RuleSets(one_pod.instance.netns) as tc:
        before = programs(tc.filters(one_pod.pairs[0].vex_ifindex))
    child = one_pod.pods[0].spawn(
        *("ping", "-n", "-q", "-c", "300", "-i", "0.005", packets.gateway_ip4),
        stdout=-1,
        text=True,
    )
    for _ in range(3):
        for marker in pin_dir(one_pod.instance).glob("source-*"):
            marker.rmdir()
        assert not loader.is_loaded(one_pod.instance)
        EbpfDriver(one_pod.instance).connect()
    child.wait(timeout=30)
    assert answered(child.stdout.read()) == (300, 300)
    with RuleSets(one_pod.instance.netns) as tc:
        after = programs(tc.filters(one_pod.pairs[0].vex_ifindex))
    assert len(after) == 1
    assert after[0].prog_id != before[0].prog_id


def test_connect_again_finds_all_as_it_was(one_pod: Wiring):
    pin = pin_dir(one_pod.instance) / "seg_ports"
    before = pin.stat().st_ino
    rules = one_pod.driver.rules(one_pod.pairs[0].port_id)
    EbpfDriver(one_pod.instance).connect()
    assert pin.stat().st_ino == before
    assert EbpfDriver(one_pod.instance).rules(one_pod.pairs[0].port_id) == rules


def test_a_map_of_another_layout_is_an_error_and_stays(wiring: Wiring):
    """bcc would have used it as it is."""
    wiring.driver.cleanup()
    pins = pin_dir(wiring.instance)
    pins.mkdir(parents=True)
    layout = bpf.MapLayout(bpf.BPF_MAP_TYPE_HASH, 4, 8, 16)
    with bpf.Map.create("seg_ports", layout) as foreign:
        foreign.pin(pins / "seg_ports")
    with pytest.raises(SegctlError, match="seg_ports"):
        wiring.driver.connect()
    with bpf.Map.open(pins / "seg_ports") as found:
        assert found.layout == layout


def test_an_attach_that_fails_leaves_nothing(wiring: Wiring):
    wiring.pod()
    gone = dataclasses.replace(wiring.pairs[0], vin_ifindex=4_000_000)
    with pytest.raises(NotFoundError):
        wiring.driver.attach(gone)
    assert leftovers(wiring) == {}
    assert wiring.enforcer.run("tc", "qdisc", "show").stdout.count("clsact") == 2


def test_rules_show_filters_and_entries(one_pod: Wiring):
    pair = one_pod.pairs[0]
    text = "\n".join(one_pod.driver.rules(pair.port_id))
    for words in (
        f"vex0 (ifindex {pair.vex_ifindex}) ingress pref {PRIORITY} handle 0x1 bpf seg_from_vex",
        f"vin0 (ifindex {pair.vin_ifindex}) ingress pref {PRIORITY} handle 0x1 bpf seg_from_vin",
        f"vin0 (ifindex {pair.vin_ifindex}) egress pref {PRIORITY} handle 0x1 bpf seg_to_port",
        "vbr-neuv (ifindex 10000000)",
        f"seg_ports[{pair.port_id}] ifindex={pair.vex_ifindex} role=vex mode=protect",
        f"seg_addrs[{pair.port_id}] address={packets.pod_one_ip6}",
    ):
        assert words in text
    assert text.endswith("held as intended")
    one_pod.enforcer.run(
        *("tc", "filter", "del", "dev", "vex0", "ingress", "prio", str(PRIORITY))
    )
    last = one_pod.driver.rules(pair.port_id)[-1]
    assert last.startswith(f"missing filter dev vex0 (ifindex {pair.vex_ifindex}) in")
    with pytest.raises(NotFoundError):
        one_pod.driver.rules(9)


def test_attach_takes_no_time_worth_mention(wiring: Wiring):
    """Compiling is connect's: an attach is a few map writes and two filters."""
    wiring.pod()
    start = time.monotonic()
    wiring.attach_all()
    assert time.monotonic() - start < 1
    wait_for(lambda: wiring.driver.port_in_use(wiring.pairs[0].port_id))


def test_a_port_of_another_datapath_is_marked_and_in_nobodys_way(wiring: Wiring):
    """The mark is no use of the id; attaching takes its place, detaching takes it away."""
    wiring.pod()
    driver, pair = wiring.driver, wiring.pairs[0]

    def rows():
        return dump_maps(wiring.instance, "seg_reinject")["seg_reinject"]

    driver.mark_elsewhere(pair.port_id, elsewhere=True)
    assert [(row["port_id"], row["vex_flags"]) for row in rows()] == [
        (pair.port_id, ["elsewhere"])
    ]
    assert not driver.port_in_use(pair.port_id)
    driver.attach(pair)
    assert "elsewhere" not in rows()[0]["vex_flags"]
    driver.detach(pair.port_id)
    assert rows() == []
    driver.mark_elsewhere(pair.port_id, elsewhere=True)
    driver.mark_elsewhere(pair.port_id, elsewhere=False)
    assert rows() == []

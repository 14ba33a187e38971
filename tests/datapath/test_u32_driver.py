"""What only the u32 driver has: drift and its repair, the hand-over from and to ebpf."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from pyctl.datapath.drivers import Drivers
from pyctl.datapath.u32.driver import U32Driver
from pyctl.model.workload import DatapathKind, Mode
from tests import packets
from tests.lab.datapath.wiring import Sniffer, Wiring, send, u32_missing, wired
from tests.lab.net.netns import Lab
from tests.lab.net.traffic import answered, ping
from tests.lab.pace import wait_for


@pytest.fixture
def one_pod(lab: Lab) -> Iterator[Wiring]:
    """Name: one_pod. Scope: function. Depends: lab, root, act_pedit. One pod in protect on u32."""
    if lacks := u32_missing():
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    with wired(lab, U32Driver) as wiring:
        wiring.start_pods(1)
        yield wiring


def test_drift_is_told_and_repaired(one_pod: Wiring):
    driver, port_id = one_pod.driver, one_pod.pairs[0].port_id
    assert driver.repair(port_id) == []
    before = driver.rules(port_id)
    assert before[-1] == "held as intended"
    for words in (
        ("del", "dev", "vin0", "ingress", "pref", "10009"),
        ("del", "dev", "vex0", "ingress", "pref", "10001"),
    ):
        one_pod.enforcer.run("tc", "filter", *words)
    assert [line.split()[0] for line in driver.repair(port_id)] == ["missing"] * 2
    assert driver.repair(port_id) == []
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4)) == (3, 3)
    one_pod.enforcer.run("tc", "qdisc", "del", "dev", "vbr-neuv", "clsact")
    assert driver.repair_guard()
    assert driver.repair(port_id)
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4)) == (3, 3)


def test_where_other_traffic_passes_no_ip_does_without_its_inspecting_rule(
    one_pod: Wiring,
):
    """Who takes it away cuts the port off, until the repair, and opens nothing."""
    one_pod.update(0, pass_other=True)
    pod, port_id = one_pod.pods[0], one_pod.pairs[0].port_id
    other = Ether(src=packets.pod_one_mac, dst=packets.gateway_mac, type=0x88B5)
    frame = bytes(other / Raw(b"x" * 46))
    outside = Sniffer(one_pod.host, "veth0")
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)
    one_pod.enforcer.run(
        "tc", "filter", "del", "dev", "vin0", "ingress", "pref", "10001"
    )
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 0)
    send(pod, "eth0", frame)
    wait_for(lambda: outside.saw(frame))
    assert one_pod.driver.repair(port_id)
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)


@pytest.mark.parametrize("mode", [Mode.PROTECT, Mode.DISCOVER])
def test_a_port_moves_between_the_datapaths_without_a_lost_packet(
    one_pod: Wiring, mode: Mode
):
    pair = one_pod.pairs[0]
    one_pod.update(0, mode=mode)
    pair = one_pod.pairs[0]
    drivers = Drivers(one_pod.instance)
    ebpf = drivers.of(DatapathKind.EBPF)
    one_pod.heartbeat_for_an_hour()
    child = one_pod.pods[0].spawn(
        *("ping", "-n", "-q", "-c", "200", "-i", "0.02", packets.gateway_ip4),
        stdout=-1,
        text=True,
    )
    try:
        while child.poll() is None:
            drivers.hand_over(pair, DatapathKind.U32, DatapathKind.EBPF)
            assert not one_pod.driver.port_in_use(pair.port_id)
            drivers.hand_over(pair, DatapathKind.EBPF, DatapathKind.U32)
            assert one_pod.driver.repair(pair.port_id) == []
        assert answered(child.stdout.read()) == (200, 200)
        wait_for(lambda: not ebpf.port_in_use(pair.port_id))
    finally:
        drivers.cleanup()

"""`attach --offload off`, for comparison: what NeuVector does, and nothing of it stays.

The engine decides every packet here: a flow that the kernel carries would not be seen on vth.
"""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import traffic
from tests.lab.net.netns import Netns
from tests.lab.net.snapshot import assert_same, picture

IP, PORT, SIZE = packets.pod_one_ip4, 8080, 2 << 20


@pytest.fixture(params=["ebpf", "u32"], ids=lambda kind: f"driver={kind}")
def datapath(request) -> str:
    """Name: datapath. Scope: function. What the workload is attached with."""
    if request.param == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    return request.param


def features(ns: Netns, interface: str) -> dict[str, bool]:
    shown = json.loads(ns.run("ethtool", "--json", "-k", interface).stdout)[0]
    return {
        name: each["active"] for name, each in shown.items() if isinstance(each, dict)
    }


def enforcer(agent) -> Netns:
    """The instance's namespace, to look into."""
    return Netns(agent.instance.name)


@pytest.fixture
def agent(agent_with):
    """Name: agent. Scope: function. Depends: agent_with. Every packet is the engine's."""
    return agent_with("--no-flow-cache")


@pytest.fixture
def served(lab, datapath, agent):
    """(web, client, attach): an echo server on web. A test asks for it first: what is skipped has no agent."""
    agent.policy("rules: [{id: 1, from: any, to: any, action: allow}]\n")
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, PORT)

    def attach(offload: str) -> dict:
        return agent.attach(
            web, "web", datapath=datapath, mode="protect", offload=offload
        )

    return web, client, attach


def test_off_cuts_frames_to_the_wires_size_and_on_keeps_them(served, agent):
    web, client, attach = served
    attach("on")
    gauge = traffic.Gauge(enforcer(agent), "vth-neuv")
    assert traffic.tcp_round(client, IP, PORT, SIZE)
    assert gauge.largest() > traffic.WIRE_FRAME
    talk = traffic.tcp_talk(client, IP, PORT)
    before = features(enforcer(agent), "vbr-neuv"), features(web, "eth0")
    answer = attach("off")
    assert answer["plan"] == ["set offload to off"]
    assert talk.said("off") == {"back": "off\n"}
    gauge.largest()
    assert traffic.tcp_round(client, IP, PORT, SIZE)
    assert gauge.largest() <= traffic.WIRE_FRAME
    assert agent.client.workload("web")["offload"] == "off"
    for ns, interface in ((enforcer(agent), "vbr-neuv"), (web, "eth0")):
        assert not features(ns, interface)["tx-checksum-ip-generic"]
    attach("on")
    assert (features(enforcer(agent), "vbr-neuv"), features(web, "eth0")) == before
    assert talk.said("on") == {"back": "on\n"}
    assert traffic.tcp_round(client, IP, PORT, SIZE)
    assert gauge.largest() > traffic.WIRE_FRAME


def test_a_dry_run_says_so_and_does_nothing(lab, agent):
    _host, (web, _client) = lab.pods()
    before = features(web, "eth0")
    plan = agent.attach(web, "web", offload="off", dry_run=True)["plan"]
    assert "offloads" in plan[-1]
    assert features(web, "eth0") == before


def test_detach_leaves_nothing_of_it(served, agent):
    web, client, attach = served
    web.run("ethtool", "-K", "eth0", "tx-udp-segmentation", "off")
    before, was = picture(web), features(web, "eth0")
    bridge = features(enforcer(agent), "vbr-neuv")
    attach("off")
    gauge = traffic.Gauge(enforcer(agent), "vth-neuv")
    assert traffic.tcp_round(client, IP, PORT, SIZE)
    assert gauge.largest() <= traffic.WIRE_FRAME
    assert features(enforcer(agent), "vbr-neuv") != bridge
    agent.client.detach(pid=web.pid)
    assert_same(before, picture(web))
    assert features(web, "eth0") == was
    assert features(enforcer(agent), "vbr-neuv") == bridge


def test_a_new_agent_keeps_it(served, agent):
    _web, client, attach = served
    attach("off")
    agent.kill()
    agent.start("--no-flow-cache")
    gauge = traffic.Gauge(enforcer(agent), "vth-neuv")
    assert traffic.tcp_round(client, IP, PORT, SIZE)
    assert gauge.largest() <= traffic.WIRE_FRAME

"""A native XDP program that comes onto an end of the cable while the workload is attached gets its frames,
as it did before: bpf_redirect_peer, which passes it by, is not used there any more."""

from __future__ import annotations

import pytest

from tests import packets
from tests.lab.datapath.verdict_programs import XDP, XDP_DROP, pinned
from tests.lab.net import traffic
from tests.lab.pace import wait_for


@pytest.mark.parametrize("end", ["workload", "host"])
def test_an_xdp_program_that_comes_later_drops(lab, agent, end):
    host, pod = lab.netns("host"), lab.netns("pod")
    lab.veth(pod, "eth0", host, "veth0")
    gateway = f"{packets.gateway_ip4}/{packets.prefix_ip4}"
    host.run("ip", "addr", "add", gateway, "dev", "veth0")
    own = f"{packets.pod_one_ip4}/{packets.prefix_ip4}"
    pod.run("ip", "addr", "add", own, "dev", "eth0")
    agent.attach(pod, "web")
    assert traffic.pings(pod, packets.gateway_ip4) == 3
    where, link = (pod, "eth0") if end == "workload" else (host, "veth0")
    with pinned(XDP, XDP_DROP, f"{agent.instance.name}-drop") as pin:
        where.run("ip", "link", "set", link, "xdpdrv", "pinned", pin)
    wait_for(lambda: any("XDP program" in one for one in agent.messages()))
    assert traffic.pings(pod, packets.gateway_ip4) == 0
    where.run("ip", "link", "set", link, "xdpdrv", "off")
    assert traffic.pings(pod, packets.gateway_ip4) == 3

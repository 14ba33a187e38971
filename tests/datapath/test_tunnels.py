"""Tunnels out of a workload, where every packet of theirs is the engine's."""

from __future__ import annotations

import pytest

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import traffic
from tests.lab.net.netns import Netns

IP, THERE, PORT, SIZE = packets.pod_one_ip4, packets.pod_two_ip4, 8080, 1 << 20


def tunnel(ns: Netns, kind: str, local: str, remote: str, inner: str) -> bool:
    """Give `ns` that end of one; False where the kernel has no such tunnel."""
    options = ("id", "5", "dstport", "4789") if kind == "vxlan" else ()
    where = ("local", local, "remote", remote)
    made = ("ip", "link", "add", kind, "type", kind, *where, *options)
    if ns.run(*made, check=False).returncode:
        return False
    ns.batch(f"addr add {inner}/24 dev {kind}", f"link set {kind} up")
    return True


@pytest.mark.parametrize("datapath", ["ebpf", "u32"])
def test_a_tunnels_super_frames_come_through_the_engine(lab, agent_with, datapath):
    """Cut into packets on the way in: a virtio_net_hdr has no word for them."""
    if datapath == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    agent = agent_with("--no-flow-cache")
    agent.policy("rules: [{id: 1, from: any, to: any, action: allow}]\n")
    _host, (web, client) = lab.pods()
    agent.attach(web, "web", datapath=datapath, mode="protect")
    carried = []
    for number, kind in enumerate(("vxlan", "gretap", "ipip")):
        mine, theirs = f"192.168.{77 + number}.1", f"192.168.{77 + number}.2"
        if tunnel(web, kind, IP, THERE, mine) and tunnel(
            client, kind, THERE, IP, theirs
        ):
            traffic.tcp_echo(web, mine, PORT)
            assert traffic.tcp_round(client, mine, PORT, SIZE), kind
            carried.append(kind)
    assert "vxlan" in carried

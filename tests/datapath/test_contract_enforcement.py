"""What each datapath holds up by itself, whatever the engine says."""

from __future__ import annotations

import pytest

from pyctl.model.workload import Mode
from tests import packets
from tests.lab.datapath.wiring import Wiring
from tests.lab.net.traffic import answered, ping, resolved
from tests.lab.pace import wait_for


@pytest.fixture
def one_pod(either: Wiring) -> Wiring:
    """Name: one_pod. Scope: function. Depends: either. One attached pod in protect."""
    return either.start_pods(1)


def test_a_promiscuous_bridge_sees_no_ping_twice(either: Wiring):
    """With redirect_peer the bridge took frames for others as its own, and answered them twice."""
    either.pod()
    either.pod()
    either.host.run("ip", "link", "set", "br0", "promisc", "on")
    either.attach_all()
    either.start_engine()
    assert answered(ping(either.pods[0], packets.pod_two_ip4)) == (3, 3)
    assert answered(ping(either.pods[0], packets.gateway_ip6)) == (3, 3)


def test_quarantine_blackholes_everything_and_ends_at_once(one_pod: Wiring):
    """Behaviour 14: ARP too."""
    pod = one_pod.pods[0]
    assert answered(ping(pod, packets.gateway_ip4)) == (3, 3)
    one_pod.update(0, mode=Mode.QUARANTINE)
    pod.run("ip", "neigh", "flush", "dev", "eth0")
    assert answered(ping(pod, packets.gateway_ip4, wait=0.2)) == (3, 0)
    assert not resolved(pod, packets.gateway_ip4)
    assert one_pod.counted(0, "quarantine") > 0
    one_pod.update(0, mode=Mode.PROTECT)
    wait_for(lambda: answered(ping(pod, packets.gateway_ip4, count=1, wait=0.2))[1])


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_pass_through_the_inspector(one_pod: Wiring, version):
    target = packets.gateway_ip4 if version == 4 else packets.gateway_ip6
    pod = one_pod.pods[0]
    pod.run("ping", "-c1", "-W2", "-s", "4000", target)
    ways = one_pod.inspected()
    for way in ("egress", "ingress"):
        assert one_pod.is_all(ways.count((way, "0101")), 3)

"""Docker's embedded resolver: what dockerd asks for a container crosses the container's port, unless the host's own
resolver is on its loopback; with `--dns` it always does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packets
from tests.lab.containers.runtimes import private_docker
from tests.lab.net import named
from tests.lab.net.netns import NAMED, Netns
from tests.lab.pace import UnavailableError, wait_for

GATEWAY, NETWORK = packets.gateway_ip4, "segt-names"
NAMES = {"db.internal": [packets.world_ip4]}
POLICY = f"""
groups:
  box: {{selector: {{name: box}}}}
  resolver: {{cidrs: [{GATEWAY}]}}
  far: {{fqdns: [db.internal]}}
modes: {{box: protect}}
rules:
  - {{id: 1, from: box, to: resolver, ports: [udp/53, tcp/53], action: allow}}
  - {{id: 2, from: box, to: far, ports: [tcp/{named.PORT}], action: allow}}
"""


@pytest.fixture
def docker(lab, image_tar, tmp_path):
    """Name: docker. Scope: function. Depends: lab, image_tar. A daemon with a network of its own, whose gateway
    resolves names."""
    try:
        found = private_docker(lab)
    except UnavailableError as error:
        pytest.skip(str(error))
    outside = Netns(f"{lab.tag}-outside")
    assert Path(NAMED, outside.name).exists()
    found.do(
        *("network", "create", "--subnet", packets.net_ip4, "--gateway", GATEWAY),
        *("--opt", "com.docker.network.bridge.name=br-names", NETWORK),
    )
    lab.undo.callback(lambda: [child.kill() for child in outside.children])
    named.serve_world(outside)
    named.dnsmasq(outside, tmp_path, NAMES, resolvers=(GATEWAY,))
    return found


def test_what_dockerd_asks_for_a_container_is_learnt(docker, agent, image_tar):
    docker.start("box", image_tar, network=NETWORK, more=("--dns", GATEWAY))
    conf = docker.exec("box", "/bin/cat", "/etc/resolv.conf").stdout
    assert "nameserver 127.0.0.11" in conf
    agent.client.attach(container="box", container_host=docker.url)
    agent.policy(POLICY)

    def fetch(host: str) -> int:
        """Return curl's exit code: 28 is silence, 1 and 52 an answer that is no HTTP."""
        url = f"http://{host}:{named.PORT}/"
        asked = ("/bin/curl", "-sS", "--max-time", "2", "--connect-timeout", "0.9", url)
        return docker.exec("box", *asked).returncode

    assert fetch(packets.world_ip4) == 28
    assert fetch("db.internal") not in (6, 28)
    assert fetch(packets.world_ip4) != 28
    (found,) = wait_for(lambda: agent.client.names("box")["names"])
    assert (found["asked"], found["resolver"]) == ("db.internal", GATEWAY)

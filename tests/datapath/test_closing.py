"""Connections that the kernel carries and that are reset, and the next ones on the same tuple: none fails,
and what they carried is told, to the byte."""

from __future__ import annotations

import json

import pytest

from tests import packets
from tests.lab.net import traffic
from tests.lab.net.netcount import count, counted, told
from tests.lab.pace import wait_for

IPS = {"ipv4": packets.pod_one_ip4, "ipv6": packets.pod_one_ip6}
PORT, ROUNDS = 8080, 30
POLICY = (
    "groups: {web: {selector: {name: web}}}\n"
    "modes: {web: protect}\n"
    "rules:\n"
    "  - {id: 3, from: any, to: web, ports: [tcp/8080], action: allow}\n"
)

_HEAD = """
ip, port, rounds, way = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
here = "::" if ":" in ip else "0.0.0.0"
def opened():
    out = socket.socket(family(ip)); out.settimeout(10)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if way != "other ports": out.bind((here, 41234))
    out.connect((ip, port)); return out
def abort(out):
    out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); out.close()
"""
_ABORTS = (
    "import struct"
    + _HEAD
    + """
for number in range(rounds):
    out = opened(); out.sendall(b"x" * 100)
    if way != "at once": assert len(out.recv(100, socket.MSG_WAITALL)) == 100
    abort(out)
say(done=1)
"""
)


def flows(agent):
    found = json.loads(agent.cli("flows", "-o", "json").stdout)["flows"]
    return [one for one in found if one["destination_port"] == PORT]


@pytest.mark.parametrize("version", IPS)
@pytest.mark.parametrize("way", ["at once", "answered", "other ports"])
def test_connections_that_are_reset_behind_their_data(lab, agent, version, way):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IPS[version], PORT)
    count(client, PORT)
    agent.attach(web, "web")
    agent.policy(POLICY)
    aborts = traffic.Program(client, _ABORTS, IPS[version], str(PORT), str(ROUNDS), way)
    assert aborts.heard() == {"done": 1}

    def sums() -> tuple[int, ...]:
        found = [told(one) for one in flows(agent)]
        return tuple(sum(each) for each in zip(*found, strict=True))

    wait_for(lambda: len(flows(agent)) >= ROUNDS, 10)
    # What the other end still sends to one that was reset at once is in no record.
    if way == "at once":
        return
    if version == "ipv4":
        wait_for(lambda: sums() == counted(client), 10)
    wait_for(lambda: not any(one["live"] for one in flows(agent)), 10)
    assert len(flows(agent)) == ROUNDS

"""policy apply with live traffic: nothing denied passes once it has returned, what it says of open flows
is what happens to them, and where it fails the former policy holds."""

from __future__ import annotations

import time

import pytest

from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from tests import packets
from tests.lab import disks
from tests.lab.net import traffic
from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program
from tests.lab.pace import wait_for

IP = packets.pod_one_ip4
PORT, OTHER = 8080, 8081
OPEN = (
    "groups: {web: {selector: {name: web}}}\n"
    "modes: {web: protect}\n"
    "rules:\n"
    "  - {id: 3, from: any, to: web, ports: [tcp/8080, udp/8080], action: allow}\n"
)
SHUT = OPEN.replace("allow", "deny")


@pytest.fixture
def pods(lab) -> list[Netns]:
    """Name: pods. Scope: function. Depends: lab. (web, client)."""
    return lab.pods()[1]


# Counts what comes, with the kernel's own time of the newest: what waited in the socket came before.
# Not the engine's reset, which tells the server that the connection is over.
_HEAR = """
import struct
kind, ip, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
sock.setsockopt(socket.SOL_SOCKET, 35, 1)
sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); server.bind((ip, port)); peer = None
if kind == "tcp": server.listen()
say(ready=True); count = last = 0; number = 17 if kind == "udp" else 6
def drain():
    while True:
        try: data = server.recv(65536) if kind == "udp" else peer.recv(1 << 20)
        except BlockingIOError: return
        except OSError: return
        if not data: return
while True:
    found = select.select([sock, sys.stdin, server if peer is None else peer], [], [], 1)[0]
    if server in found and kind == "tcp" and peer is None: peer = server.accept()[0]; peer.setblocking(False)
    if kind == "udp": server.setblocking(False)
    if peer is not None or kind == "udp": drain()
    if sock in found:
        data, control, _, at = sock.recvmsg(65536, 256)
        port_here = int.from_bytes(data[(data[0] & 15) * 4 + 2:(data[0] & 15) * 4 + 4], "big")
        reset = number == 6 and data[(data[0] & 15) * 4 + 13] & 4
        if at[2] == 0 and data[9] == number and port_here == port and not reset:
            count += 1; sec, nsec = struct.unpack("qq", control[0][2][:16]); last = max(last, sec * 10**9 + nsec)
    elif sys.stdin in found:
        if not sys.stdin.readline(): break
        say(count=count, last=last)
"""
_SEND = """
kind, ip, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
sock.connect((ip, port)); sock.setblocking(False); data = bytes(1000 if kind == "udp" else 65536)
say(ready=True); tries = 0
while True:
    if select.select([sys.stdin], [], [], 0.0002)[0]:
        if not sys.stdin.readline(): break
        say(tries=tries)
    tries += 1
    try: sock.send(data)
    except OSError: pass
"""


def carried(agent) -> bool:
    """Whether the kernel has carried packets of a flow that is open."""
    live = [one for one in agent.client.flows(10)["flows"] if one["live"]]
    return any(one["kernel_packets"] for one in live)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_no_packet_of_a_denied_cached_flow_comes_after_apply_has_returned(
    agent, pods, kind
):
    """Ten times over, while the flow runs, the kernel carrying it."""
    web, client = pods
    agent.attach(web, "web")
    agent.policy(OPEN)
    server = Program(web, _HEAR, kind, IP, str(PORT))
    server.heard()
    for round_ in range(10):
        agent.policy(OPEN)
        sender = Program(client, _SEND, kind, IP, str(PORT))
        sender.heard()
        before = server.said("so far?")["count"]
        wait_for(lambda: server.said("so far?")["count"] > before + 100)  # noqa: B023
        # A burst that does not pause is the engine's for some thousand packets, for its order.
        wait_for(lambda: carried(agent), 10)
        agent.policy(SHUT)
        returned = time.time_ns()
        tries = sender.said("so far?")["tries"]
        wait_for(lambda: sender.said("so far?")["tries"] > tries + 300)  # noqa: B023
        said = server.said("what came?")
        assert said["count"] > before + 100
        assert said["last"] <= returned, f"{kind}, round {round_}"
        sender.process.stdin.close()
        sender.process.wait(timeout=10)
        if kind == "tcp":
            server.process.kill()
            server.process.wait(timeout=10)
            server = Program(web, _HEAR, kind, IP, str(PORT))
            server.heard()


def test_it_says_what_becomes_of_open_flows_and_that_becomes_of_them(
    agent, pods, tmp_path
):
    web, client = pods
    for port in (PORT, OTHER):
        traffic.tcp_echo(web, IP, port)
    agent.attach(web, "web")
    agent.policy(OPEN.replace("tcp/8080", "tcp/8080, tcp/8081"))
    talks = {
        port: [traffic.tcp_talk(client, IP, port) for _ in range(number)]
        for port, number in ((PORT, 3), (OTHER, 2))
    }
    for talk in (*talks[PORT], *talks[OTHER]):
        assert talk.said("one") == {"back": "one\n"}
    file = tmp_path / "policy"
    file.write_text("apiVersion: segctl/v1\n" + OPEN)
    argv = ("policy", "apply", "-f", str(file))
    told = agent.cli(*argv, "--dry-run").stdout
    assert "of 5 open flows, 2 would be denied that passed, 0 would be" in told
    assert f"→ web tcp/{OTHER}: 2 flows, no rule" in told
    assert "rule 3: allow any → web tcp/8080, tcp/8081" in told
    for talk in talks[OTHER]:
        assert talk.said("two") == {"back": "two\n"}
    assert "2 are denied that passed" in agent.cli(*argv).stdout
    for talk in talks[PORT]:
        assert talk.said("three") == {"back": "three\n"}
    for talk in talks[OTHER]:
        assert "error" in talk.said("three")


def test_a_policy_that_cannot_be_stored_is_not_applied(agent, pods):
    web, client = pods
    traffic.tcp_echo(web, IP, PORT)
    agent.attach(web, "web")
    agent.policy(OPEN)
    talk = traffic.tcp_talk(client, IP, PORT)
    assert talk.said("one") == {"back": "one\n"}
    with disks.read_only(Instance(agent.instance.name).state_dir):
        with pytest.raises(SegctlError, match="not applied") as caught:
            agent.policy(SHUT)
        assert "in force everywhere" in caught.value.state
        assert talk.said("two") == {"back": "two\n"}
        assert traffic.tcp_try(client, IP, PORT) == "open"
    assert "allow" in agent.client.policy()["text"]
    agent.policy(SHUT)
    assert traffic.tcp_try(client, IP, PORT) == "silence"

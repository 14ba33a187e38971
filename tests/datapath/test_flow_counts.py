"""What `segctl flows` says of a flow is right to the byte, whoever carried it and whoever died meanwhile;
verdicts that the kernel has no room for stay with the engine; a full disk stops nothing but the
recording."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import pytest

from pyctl.model.instance import Instance
from pyctl.model.policy import Action, Direction, PortRule
from tests import packets
from tests.lab import disks
from tests.lab.net import traffic
from tests.lab.net.netcount import count, counted, told
from tests.lab.net.netns import Netns
from tests.lab.pace import wait_for
from tests.lab.segctl.engine import PORT as LAB_PORT
from tests.lab.segctl.engine import detour
from tests.unit.engine.core.wire import NETS, udp

IP = packets.pod_one_ip4
PORT, DENIED = 8080, 8081
POLICY = (
    "groups: {web: {selector: {name: web}}}\n"
    "modes: {web: protect}\n"
    "rules:\n"
    "  - {id: 3, from: any, to: web, ports: [tcp/8080, udp/8080], action: allow}\n"
)


@pytest.fixture
def pods(lab) -> list[Netns]:
    """Name: pods. Scope: function. Depends: lab. (web, client), with an echo server on web."""
    _host, pods = lab.pods()
    traffic.tcp_echo(pods[0], IP, PORT)
    traffic.tcp_echo(pods[0], IP, DENIED)
    return pods


def flows(agent, *options: str):
    found = json.loads(agent.cli("flows", "-o", "json", *options).stdout)["flows"]
    return [one for one in found if one["destination_port"] == PORT]


def ended(agent):
    return wait_for(lambda: [one for one in flows(agent) if not one["live"]], 10)


def new_engine(agent) -> None:
    """Kill the engine; return when another is in charge, and taught."""
    before = len(agent.messages("took over"))
    os.kill(agent.engine_pid(), signal.SIGKILL)
    wait_for(lambda: len(agent.messages("took over")) > before, 15)


def test_a_flow_is_right_to_the_byte_across_agents_and_engines_that_die(agent, pods):
    """Kernel-carried for the most part, judged by two policies and three engines: one record."""
    web, client = pods
    count(client, PORT)
    agent.attach(web, "web")
    agent.policy(POLICY)
    talk = traffic.tcp_talk(client, IP, PORT)
    text = "x" * 60000

    def say() -> None:
        for _ in range(5):
            assert talk.said(text)["back"] == text + "\n"

    say()
    agent.kill()
    say()
    agent.start()
    say()
    for _ in range(2):
        new_engine(agent)
        say()
    (live,) = flows(agent)
    assert told(live) == counted(client)
    agent.policy(POLICY.replace("id: 3", "id: 4"))
    say()
    new_engine(agent)
    agent.kill()
    agent.start()
    talk.process.kill()
    (flow,) = ended(agent)
    assert told(flow) == counted(client)
    assert flow["kernel_bytes"] > 0.8 * (flow["bytes"] + flow["bytes_back"])
    assert (flow["rule_id"], flow["started"]) == (
        4,
        pytest.approx(live["started"], abs=0.1),
    )


def test_short_connections_cost_the_engine_a_packet_or_two(agent, pods):
    """The kernel carries the rest, ends included, and every one is told to the byte."""
    web, client = pods
    count(client, PORT)
    agent.attach(web, "web")
    agent.policy(POLICY)
    before = agent.counts("web").get("to_engine", 0)
    for _ in range(20):
        traffic.Program(client, _ONCE, IP, str(PORT)).heard()
    wait_for(lambda: len(ended(agent)) == 20, 10)
    found = ended(agent)
    sums = tuple(sum(each) for each in zip(*map(told, found), strict=True))
    assert sums == counted(client)
    # The first SYN, and the data that follow its handshake on another CPU.
    assert 1 <= agent.counts("web")["to_engine"] - before <= 2
    engines = [
        one["packets"] + one["packets_back"] - one["kernel_packets"] for one in found
    ]
    assert sorted(engines)[:-1] == [0] * 19
    assert max(engines) in (1, 2)


# A line there and back, and a close that waits for the other end's.
_ONCE = """
out = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
out.sendall(b"once\\n"); out.recv(100); out.shutdown(socket.SHUT_WR)
while out.recv(100): pass
say(done=1)
"""


def test_an_end_that_a_dead_engine_had_not_told_yet_is_told(agent, pods):
    """The agent is held up meanwhile, as a busy host may do."""
    web, client = pods
    count(client, PORT)
    agent.attach(web, "web")
    agent.policy(POLICY)
    talk = traffic.tcp_talk(client, IP, PORT)
    for word in ("one", "two", "three"):
        assert talk.said(word)["back"] == f"{word}\n"
    (live,) = flows(agent)
    engine = agent.engine_pid()
    agent.process.send_signal(signal.SIGSTOP)
    try:
        talk.process.kill()
        # Its FIN, and its answer to the server's.
        wait_for(lambda: counted(client)[0] >= live["packets"] + 2)
        os.kill(engine, signal.SIGKILL)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    (flow,) = ended(agent)
    assert told(flow) == counted(client)


def test_what_is_switched_off_gives_back_what_it_counted(agent, pods):
    web, client = pods
    count(client, PORT)
    agent.attach(web, "web")
    agent.policy(POLICY)
    talk = traffic.tcp_talk(client, IP, PORT)
    for number in range(20):
        assert talk.said("on")["back"] == "on\n", number
    agent.kill()
    agent.start("--no-flow-cache")
    assert talk.said("off")["back"] == "off\n"
    talk.process.kill()
    (flow,) = ended(agent)
    assert told(flow) == counted(client)
    assert flow["kernel_packets"] > 20


def test_a_full_flow_table_leaves_flows_with_the_engine(agent_with, pods, tmp_path):
    """What is allowed flows on, what is denied stays denied, and all of it is counted and shown."""
    web, client = pods
    config = tmp_path / "agent.yaml"
    config.write_text("apiVersion: segctl/v1\nflow-map: {max-entries: 2}\n")
    agent = agent_with("--config", str(config))
    agent.attach(web, "web")
    agent.policy(POLICY)
    talks = [traffic.tcp_talk(client, IP, PORT) for _ in range(5)]
    for word in ("one", "two", "three"):
        for talk in talks:
            assert talk.said(word) == {"back": f"{word}\n"}
    assert traffic.tcp_try(client, IP, DENIED) == "silence"
    assert traffic.udp_try(client, IP, DENIED) == "silence"
    found = agent.client.workload("web")["flow_map"]
    assert (found["entries"], found["capacity"]) == (2, 2)
    assert found["refused"] >= 3
    assert "2 of 2; evicted" in agent.cli("show", "web").stdout
    assert "2 of 2; evicted" in agent.cli("agent", "status").stdout
    assert "seg_flows4: 2 of " in agent.cli("dump-maps", "seg_flows4").stdout
    agent.policy(POLICY.replace("allow", "deny"))
    for talk in talks:
        assert "error" in talk.said("denied by now")


def test_a_flow_map_that_is_full_itself_is_the_same(engine_lab):
    """The kernel says so then, and not a limit of ours."""
    maps = engine_lab.pin_maps(entries=4)
    allowed = PortRule(1, Direction.EGRESS, None, 17, 5000, 5000, Action.ALLOW)
    client = engine_lab.start((allowed,), default=Action.DENY)
    client.open_maps()
    net = NETS[0]

    def frame(sport: int, dport: int) -> bytes:
        return detour() + net.out(udp(sport, dport))[12:]

    frames = [frame(4000 + number, 5000) for number in range(20)]
    for one in frames:
        engine_lab.tap.send(one)
        engine_lab.tap.send(frame(4000, 5001))
    seen = engine_lab.tap.collect(len(frames))
    client.sync()
    assert sorted(one.frame for one in seen) == sorted(frames)
    assert engine_lab.tap.read() == []
    stats = client.cache_stats(LAB_PORT)
    assert stats["entries"] == len(list(maps["seg_flows4"].entry_keys())) <= 4
    assert stats["refused"] >= 16


# So many MiB to a server that takes them, both in one program: nothing comes back but ACKs.
_BULK = """
ip, port, mib = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
out = socket.create_connection((ip, port)); block = bytes(1 << 20)
for _ in range(mib): out.sendall(block)
out.shutdown(socket.SHUT_WR); say(read=len(out.recv(1)))
"""
_TAKER = """
ip, port = sys.argv[1], int(sys.argv[2])
listener = socket.socket(); listener.bind((ip, port)); listener.listen(); say(ready=True)
peer = listener.accept()[0]
while peer.recv(1 << 20): pass
say(done=True)
"""


def test_hardly_a_packet_of_a_bulk_flow_comes_to_the_engine_after_its_verdict(
    lab, agent
):
    """At most one in a thousand, its end included."""
    _host, (web, client) = lab.pods()
    traffic.Program(web, _TAKER, IP, str(PORT)).heard()
    agent.attach(web, "web")
    agent.policy(POLICY)
    traffic.Program(client, _BULK, IP, str(PORT), "600").heard()
    (flow,) = ended(agent)
    found = agent.client.workload("web")["flow_map"]
    packets_of_it = flow["packets"] + flow["packets_back"]
    assert packets_of_it > 5000
    assert found["offload_misses"] <= 0.001 * packets_of_it
    assert packets_of_it - flow["kernel_packets"] <= 0.001 * packets_of_it + 8


def recording(agent) -> bool:
    return bool(agent.client.status()["history"]["recording"])


def test_a_full_disk_stops_the_recording_alone_and_it_comes_back(
    agent_with, instance_name, pods
):
    web, client = pods
    state = Instance(instance_name).state_dir
    with disks.small(state, "2m"):
        agent = agent_with()
        agent.attach(web, "web")
        agent.policy(POLICY)
        assert traffic.tcp_try(client, IP, PORT) == "open"
        wait_for(lambda: flows(agent))
        filler = state / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        talk = traffic.tcp_talk(client, IP, PORT)

        def stopped() -> bool:
            assert traffic.tcp_try(client, IP, PORT) == "open"
            assert traffic.tcp_try(client, IP, DENIED, 0.1) == "silence"
            return not recording(agent)

        wait_for(stopped, 30)
        assert "full" in agent.client.status()["history"]["why_not"]
        assert "not recorded" in agent.cli("flows").stderr
        assert "not recorded" in agent.cli("events").stdout
        assert talk.said("all the same") == {"back": "all the same\n"}
        filler.unlink()
        wait_for(lambda: recording(agent), 30)
        talk.process.kill()
        wait_for(lambda: [one for one in flows(agent) if one["bytes"] > 60], 10)
        assert "recorded again" in agent.cli("events").stdout

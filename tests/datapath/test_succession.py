"""A workload lives while anything lives in its network namespace; protect and quarantine, while the namespace does."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from pyctl.platform import netns
from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for
from tests.unit.runtime.fake_docker import docker_at, inspected

IP = packets.pod_one_ip4
WITHOUT_ITS_LEADER = """
import ctypes, socket, sys, threading
server = socket.create_server(("", 8080))
def serve():
    while True:
        one, _ = server.accept()
        one.sendall(one.recv(100)); one.close()
threading.Thread(target=serve).start()
print("serves", flush=True); sys.stdin.readline()
ctypes.CDLL(None).syscall(60, 0)
"""


def pid_of(agent, name: str) -> int:
    return int(agent.client.workload(name)["pid"])


def test_the_next_process_of_the_namespace_is_held_to_the_same(lab, agent):
    """The agent is there, or comes later: who is left keeps name, labels and mode."""
    _host, (web, client) = lab.pods()
    second, third = (web.spawn("sleep", "infinity") for _ in range(2))
    agent.attach(web, "web", labels={"app": "web"})
    agent.client.set_mode("web", "quarantine")
    web.holder.kill()
    web.holder.wait()
    wait_for(lambda: pid_of(agent, "web") == second.pid)
    assert not traffic.pings(client, IP)
    agent.stop()
    second.kill()
    second.wait()
    agent.start()
    found = agent.client.workload("web")
    assert (found["pid"], found["labels"]) == (third.pid, {"app": "web"})
    assert found["mode"] == "quarantine"
    assert not traffic.pings(client, IP)


def test_a_process_whose_first_thread_has_ended_stays_attached(lab, agent):
    _host, (web, client) = lab.pods()
    server = web.spawn(
        *(sys.executable, "-c", WITHOUT_ITS_LEADER), stdin=-1, stdout=-1, bufsize=0
    )
    server.stdout.readline()
    agent.client.attach(pid=server.pid, name="web")
    web.holder.kill()
    server.stdin.write(b"\n")
    agent.stop()
    agent.start()
    assert pid_of(agent, "web") == server.pid
    agent.client.attach(pid=server.pid, mode="protect")
    assert traffic.tcp_try(client, IP, 8080) != "open"
    agent.client.set_mode("web", "discover")
    assert traffic.tcp_try(client, IP, 8080) == "open"


def states(agent) -> dict[str, str]:
    found = agent.client.workloads()["workloads"]
    return {one["name"]: one["state"] for one in found}


@pytest.mark.parametrize("mode", ["protect", "quarantine"])
def test_a_namespace_that_only_its_name_keeps_stays_in_a_mode_that_drops(
    lab, agent, mode
):
    _host, (web, client, other) = lab.pods(3)
    for pod, name in ((web, "web"), (other, "other")):
        agent.attach(pod, name)
    agent.client.set_mode("web", mode)
    for pod in (web, other):
        pod.holder.kill()
        pod.holder.wait()
    wait_for(lambda: states(agent) == {"web": "empty"})
    wait_for(lambda: agent.messages(f"stays attached in {mode}"))
    assert traffic.pings(client, packets.pod_three_ip4)
    agent.stop()
    agent.start()
    assert states(agent) == {"web": "empty"}
    assert unreachable(client)
    late = web.spawn("sleep", "infinity")
    wait_for(lambda: pid_of(agent, "web") == late.pid, 10)
    assert unreachable(client)
    late.kill()
    late.wait()
    wait_for(lambda: states(agent) == {"web": "empty"})
    netns.remove(Path(web.path))
    wait_for(lambda: states(agent) == {}, 10)
    assert agent.remains()["links"] == []


def unreachable(client) -> bool:
    return not any(traffic.pings(client, ip) for ip in (IP, packets.pod_one_ip6))


@pytest.mark.parametrize("gap_s", [0.0, 0.1, 1.5])
def test_a_service_that_is_restarted_in_its_namespace_stays_protected(
    lab, agent, gap_s
):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web", mode="protect")
    web.holder.kill()
    web.holder.wait()
    time.sleep(gap_s)
    again = web.spawn("sleep", "infinity")
    assert unreachable(client)
    wait_for(lambda: pid_of(agent, "web") == again.pid, 10)
    assert states(agent) == {"web": "attached"}
    assert unreachable(client)
    agent.client.set_mode("web", "discover")
    assert traffic.pings(client, IP)
    assert traffic.pings(client, packets.pod_one_ip6)


def test_an_empty_one_is_attached_again_by_who_enters_or_detached(lab, agent):
    """Both at once, before the agent has seen who entered."""
    _host, (web, client) = lab.pods()
    agent.attach(web, "web", mode="protect")
    web.holder.kill()
    web.holder.wait()
    wait_for(lambda: agent.messages("stays attached in protect"))
    late = web.spawn("sleep", "infinity")
    agent.client.attach(pid=late.pid, labels={"tier": "front"})
    found = agent.client.workload("web")
    assert (found["pid"], found["labels"]) == (late.pid, {"tier": "front"})
    assert unreachable(client)
    late.kill()
    late.wait()
    wait_for(lambda: states(agent) == {"web": "empty"})
    agent.client.detach(workload="web")
    assert states(agent) == {}
    assert traffic.pings(client, IP)


def test_a_container_that_starts_anew_leaves_who_shared_its_namespace_where_it_is(
    lab, agent, tmp_path
):
    """Both are held to what was said of the container: one by its name, one by the namespace."""
    _host, (web, other, client) = lab.pods(3)
    sidecar = web.spawn("sleep", "infinity")
    state = {"Pid": web.pid, "Status": "running"}
    socket = tmp_path / "docker.sock"
    with docker_at(socket, {"shop": (200, inspected(State=state))}):
        agent.client.attach(container="shop", container_host=f"unix://{socket}")
        agent.client.set_mode("shop", "quarantine")
        web.holder.kill()
        web.holder.wait()
        wait_for(lambda: pid_of(agent, "shop") == sidecar.pid)
        state["Pid"] = other.pid
        agent.client.attach(container="shop", container_host=f"unix://{socket}")
    found = agent.client.workloads()["workloads"]
    assert {(one["name"], one["pid"], one["mode"]) for one in found} == {
        ("shop", other.pid, "quarantine"),
        (f"shop-pid-{sidecar.pid}", sidecar.pid, "quarantine"),
    }
    assert not any(traffic.pings(client, ip) for ip in (IP, packets.pod_two_ip4))

"""A workload lives while anything lives in its network namespace; quarantine, while the namespace does."""

from __future__ import annotations

import sys
from pathlib import Path

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


def test_a_namespace_that_only_its_name_keeps_stays_in_quarantine(lab, agent):
    _host, (web, client, other) = lab.pods(3)
    for pod, name in ((web, "web"), (other, "other")):
        agent.attach(pod, name)
    agent.client.set_mode("web", "quarantine")
    for pod in (web, other):
        pod.holder.kill()
        pod.holder.wait()

    def states() -> dict[str, str]:
        found = agent.client.workloads()["workloads"]
        return {one["name"]: one["state"] for one in found}

    wait_for(lambda: states() == {"web": "empty"})
    assert traffic.pings(client, packets.pod_three_ip4)
    agent.stop()
    agent.start()
    assert states() == {"web": "empty"}
    assert not traffic.pings(client, IP)
    late = web.spawn("sleep", "infinity")
    wait_for(lambda: pid_of(agent, "web") == late.pid, 10)
    late.kill()
    late.wait()
    wait_for(lambda: states() == {"web": "empty"})
    netns.remove(Path(web.path))
    wait_for(lambda: states() == {}, 10)
    assert agent.remains()["links"] == []


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

"""Containers of real runtimes, attached by name: what users will do first."""

from __future__ import annotations

import json
import secrets

import pytest

from pyctl.errors import NotFoundError, RefusedError
from tests.lab.net.snapshot import assert_same, seen_inside
from tests.lab.pace import wait_for


def fetch(runtime, client: str, ip: str) -> str:
    """What the web server of `ip` says to container `client`."""
    return runtime.do(
        *("exec", client, "/bin/curl", "-s", "--max-time", "2", f"http://{ip}/hello"),
        check=False,
    )


def state(runtime, name: str) -> dict[str, str]:
    """The container's network, seen from inside."""
    return seen_inside(runtime.inspect(name)["State"]["Pid"])


@pytest.fixture
def pair(runtime, image_tar):
    """(web, client, web's address), talking to each other."""
    tag = f"segt-{secrets.token_hex(3)}"
    web, client = f"{tag}-web", f"{tag}-client"
    runtime.start(web, image_tar, "app=web")
    runtime.start(client, image_tar)
    runtime.do("exec", web, "/bin/busybox", "sh", "-c", "echo hi > /srv/hello")
    ip = runtime.address(web)
    wait_for(lambda: fetch(runtime, client, ip) == "hi", 10)
    return web, client, ip


def test_a_container_is_attached_by_name_denied_and_given_back(runtime, pair, agent):
    web, client, ip = pair
    before = state(runtime, web)
    answer = agent.client.attach(container=web, container_host=runtime.url)
    workload = answer["workload"]
    assert workload["name"] == web
    assert workload["runtime"] == runtime.kind
    assert workload["labels"]["app"] == "web"
    assert fetch(runtime, client, ip) == "hi"
    agent.policy(
        "groups: {web: {selector: {labels: {app: web}}}}\nmodes: {web: protect}\n"
        "rules: [{id: 1, from: any, to: web, ports: [icmp], action: allow}]\n"
    )
    assert fetch(runtime, client, ip) == ""
    agent.client.detach(container=web, container_host=runtime.url)
    assert_same(before, state(runtime, web))
    assert fetch(runtime, client, ip) == "hi"


def test_a_container_is_attached_whenever_it_runs_until_it_is_detached(
    runtime, pair, agent, image_tar
):
    """Stopped, restarted, made anew while no agent ran and after a reboot: in its mode, and lost between."""
    web, client, _ip = pair
    agent.client.attach(container=web, container_host=runtime.url, labels={"a": "b"})

    def is_now(state: str, mode: str, ports: int) -> bool:
        found = agent.client.workloads()["workloads"]
        told = [(one["name"], one["state"], one["mode"]) for one in found]
        return told == [(web, state, mode)] and len(found[0]["ports"]) == ports

    runtime.do("stop", "-t", "0", web)
    wait_for(lambda: is_now("lost", "discover", 0), 10)
    assert agent.remains()["links"] == []
    assert agent.client.workload(web)["pid"] is None
    agent.client.set_mode(web, "quarantine")
    assert is_now("lost", "quarantine", 0)
    with pytest.raises(RefusedError):
        agent.client.attach(container=web, container_host=runtime.url)
    runtime.do("start", web)
    wait_for(lambda: is_now("attached", "quarantine", 1), 10)
    assert fetch(runtime, client, runtime.address(web)) == ""
    agent.kill()
    runtime.do("rm", "-f", web)
    agent.forget_this_boot()
    runtime.start(web, image_tar, "app=web")
    agent.start()
    wait_for(lambda: is_now("attached", "quarantine", 1), 10)
    assert agent.client.workload(web)["labels"] == {"a": "b", "app": "web"}
    agent.client.set_mode(web, "auto")
    runtime.do("exec", web, "/bin/busybox", "sh", "-c", "echo hi > /srv/hello")
    wait_for(lambda: fetch(runtime, client, runtime.address(web)) == "hi", 10)
    runtime.do("stop", "-t", "0", web)
    wait_for(lambda: is_now("lost", "discover", 0), 10)
    assert agent.client.detach(workload=web)["workloads"] == [web]
    assert agent.client.workloads()["workloads"] == []
    runtime.do("start", web)
    agent.client.attach(container=client, container_host=runtime.url, once=True)
    runtime.do("restart", "-t", "0", client)
    wait_for(lambda: agent.client.workloads()["workloads"] == [], 10)


def test_unknown_and_host_network_containers_are_refused(runtime, agent, image_tar):
    with pytest.raises(NotFoundError):
        agent.client.attach(container="segt-nobody", container_host=runtime.url)
    name = f"segt-{secrets.token_hex(3)}-host"
    runtime.start(name, image_tar, network="host")
    with pytest.raises(RefusedError):
        agent.client.attach(container=name, container_host=runtime.url)
    other = f"{name}-none"
    runtime.start(other, image_tar, network="none")
    said = json.loads(
        agent.cli(
            *("list", "--all", "-o", "json", "--container-host", runtime.url)
        ).stdout
    )
    assert said["unreachable"] == []
    reasons = {one["name"]: (one["state"], one["reason"]) for one in said["containers"]}
    # Of a daemon in a namespace of its own, "host" is that one.
    assert reasons[name][0] == "not-attached"
    assert reasons[other] == ("not-attached", "it has no interface to inspect")

"""Containers of real runtimes, attached by name: what users will do first."""

from __future__ import annotations

import secrets
import subprocess

import pytest

from pyctl.errors import NotFoundError, RefusedError
from tests.fixtures.netns import wait_for
from tests.fixtures.snapshot import assert_same


def fetch(runtime, client: str, ip: str) -> str:
    """What the web server of `ip` says to container `client`."""
    return runtime.do(
        *("exec", client, "/bin/curl", "-s", "--max-time", "2", f"http://{ip}/hello"),
        check=False,
    )


def state(runtime, name: str) -> dict[str, str]:
    """The container's network, seen from inside."""
    pid = runtime.inspect(name)["State"]["Pid"]
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"]
    commands = {
        "links": ("ip", "-d", "link"),
        "addresses": ("ip", "addr"),
        "routes": ("ip", "route", "show", "table", "all"),
        "routes6": ("ip", "-6", "route", "show", "table", "all"),
    }
    return {
        key: subprocess.run(
            [*enter, *argv], capture_output=True, text=True, check=True
        ).stdout
        for key, argv in commands.items()
    }


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


def test_a_container_that_is_stopped_leaves_nothing_and_starts_again(
    runtime, pair, agent
):
    web, client, _ip = pair
    agent.client.attach(container=web, container_host=runtime.url)
    runtime.do("stop", "-t", "1", web)
    wait_for(lambda: agent.client.workloads()["workloads"] == [], 10)
    assert agent.remains()["links"] == []
    with pytest.raises(RefusedError):
        agent.client.attach(container=web, container_host=runtime.url)
    runtime.do("start", web)
    ip = runtime.address(web)
    wait_for(lambda: fetch(runtime, client, ip) == "hi", 10)
    agent.client.attach(container=web, container_host=runtime.url)
    assert fetch(runtime, client, ip) == "hi"


def test_unknown_and_host_network_containers_are_refused(runtime, agent, image_tar):
    with pytest.raises(NotFoundError):
        agent.client.attach(container="segt-nobody", container_host=runtime.url)
    name = f"segt-{secrets.token_hex(3)}-host"
    runtime.start(name, image_tar, network="host")
    with pytest.raises(RefusedError):
        agent.client.attach(container=name, container_host=runtime.url)

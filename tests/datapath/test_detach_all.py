"""A whole node's detach takes long: the node is served meanwhile, and its end may come at any moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pyctl.datapath.maps import dump_maps
from pyctl.errors import SegctlError
from tests.lab.net.crowd import Crowd, Member
from tests.lab.pace import wait_for
from tests.lab.segctl.agent import AgentProcess

MANY = 40


@pytest.fixture
def full(crowd, agent) -> list[Member]:
    """Name: full. Depends: crowd, agent. Many attached workloads."""
    members = crowd.join(MANY)
    for one in members:
        agent.client.attach(pid=one.pid, name=one.name)
    return members


@contextmanager
def detaching(agent: AgentProcess) -> Iterator[Future[dict]]:
    """Under way: the first ones are free, most are not yet."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(agent.client.detach, all=True)
        wait_for(lambda: attached(agent) < MANY, 20)
        yield running


def attached(agent: AgentProcess) -> int:
    return agent.client.status()["workloads"]


def nothing_is_left(agent: AgentProcess, members: list[Member]) -> None:
    assert agent.remains() == {"links": [], "workloads": [], "journal": []}
    maps = dump_maps(agent.instance)
    for name in ("seg_ports", "seg_reinject", "seg_gens", "seg_addrs"):
        assert maps[name] == [], name
    for one in members:
        assert [link["ifname"] for link in one.ip("link")] == ["lo", "eth0"]


def test_others_are_served_while_a_node_is_detached(crowd: Crowd, agent, full):
    """Who is attached meanwhile stays, who is detached meanwhile is no failure."""
    (late,) = crowd.join(1)
    last = max(full, key=lambda one: one.name)
    with detaching(agent) as running:
        agent.client.attach(pid=late.pid, name=late.name)
        agent.client.detach(pid=last.pid)
        assert not running.done()
        assert len(running.result(60)["workloads"]) == MANY
    (left,) = agent.client.workloads()["workloads"]
    assert left["name"] == late.name
    agent.client.detach(all=True)
    nothing_is_left(agent, [*full, late])


def test_a_dead_engine_is_replaced_while_a_node_is_detached(agent, full):
    former = agent.engine_pid()
    with detaching(agent) as running:
        os.kill(former, signal.SIGKILL)
        wait_for(lambda: agent.engine_pid() not in (0, former), 20)
        running.result(60)
    nothing_is_left(agent, full)


def test_an_agent_killed_while_it_detaches_a_node_has_a_successor(agent, full):
    with detaching(agent) as running:
        agent.kill()
        with pytest.raises(SegctlError):
            running.result(60)
    agent.start()
    assert 0 < attached(agent) < MANY
    agent.client.detach(all=True)
    nothing_is_left(agent, full)

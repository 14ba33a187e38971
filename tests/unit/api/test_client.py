"""The client: requests as the schema wants them, failures as the errors that they are."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from pyctl.api.client import AgentClient
from pyctl.errors import (
    ALL,
    NotFoundError,
    NotPermittedError,
    SegctlError,
    UnreachableError,
)
from tests.unit import fake_agent
from tests.unit.fake_agent import agent_at, instance_in


@pytest.fixture
def instance(tmp_path):
    return instance_in(tmp_path)


def test_each_method_is_one_request_of_the_schema(instance):
    """The fake agent refuses what the schema does."""
    with agent_at(instance) as agent:
        client = AgentClient(instance)
        client.attach(pid=4242, labels={"a": "b"}, dry_run=True)
        client.detach(all=True)
        client.workloads()
        assert client.workload("web")["name"] == "web"
        client.set_mode("web", "auto", dry_run=True)
        client.rules("web")
        client.names("web")
        client.threats("web")
        client.sensors("web")
        client.policy()
        client.apply_policy("x", dry_run=True)
        client.policy_revisions()
        client.policy_revision(1)
        client.policy_hits()
        client.containers()
        client.test_policy("web", "db", "tcp/80", names=["db.example"])
        client.policy_learned()
        client.policy_learned(group="web", cidr_prefix=24)
        client.simulate_policy("x", since=None, mode="protect", examples=3)
        client.flows(5)
        client.events(5)
        client.status()
        client.set_log_level("debug")
        client.stop(detach=True)
    asked = {(method, path.partition("?")[0]) for method, path, _ in agent.asked}
    assert asked == set(fake_agent.ROUTES) - {("GET", "/workloads/0123456789ab/rules")}


def test_a_break_while_something_is_changed_says_that_the_agent_goes_on(instance):
    with agent_at(instance) as agent:
        real = threading.Event()
        agent.at_stop = lambda: (
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT),
            real.wait(10),
        )
        with pytest.raises(SegctlError, match="interrupted") as caught:
            AgentClient(instance).stop()
        real.set()
    assert "goes on" in caught.value.state


def test_a_reference_cannot_become_another_route(instance):
    with agent_at(instance) as agent, pytest.raises(NotFoundError):
        AgentClient(instance).workload("a/../b?c")
    assert agent.asked[0][1] == "/workloads/a%2F..%2Fb%3Fc"


@pytest.mark.parametrize("kind", ALL)
def test_every_error_comes_back_as_itself(instance, kind):
    with agent_at(instance) as agent:
        agent.fails = kind("it was tried", state="as before", advice="do that")
        with pytest.raises(SegctlError) as caught:
            AgentClient(instance).status()
    assert type(caught.value) is kind
    assert str(caught.value) == "it was tried. As before. Do that."


@pytest.mark.parametrize(
    "raw", [(500, b"oops"), (422, b'{"detail": []}'), (200, b"[]")]
)
def test_an_answer_of_another_shape_is_an_error(instance, raw):
    with agent_at(instance) as agent:
        agent.raw = raw
        with pytest.raises(SegctlError, match=f"HTTP {raw[0]}"):
            AgentClient(instance).status()


def test_no_socket_and_a_dead_one_are_unreachable(instance):
    with pytest.raises(UnreachableError, match="segctl agent run"):
        AgentClient(instance).status()
    with agent_at(instance):
        pass
    with pytest.raises(UnreachableError, match="segctl agent run"):
        AgentClient(instance).status()


def test_a_socket_of_root_is_not_permitted(instance, monkeypatch):
    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pyctl.api.client._UnixConnection.connect", refuse)
    with pytest.raises(NotPermittedError, match="as root"):
        AgentClient(instance).status()


def test_the_client_loads_no_pydantic():
    code = "import sys, pyctl.api.client; print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_name_of_any_bytes_can_be_asked_for(instance):
    """It goes as the bytes that were given; whether anybody is called so is the agent's to say."""
    with agent_at(instance) as agent:
        client = AgentClient(instance)
        with pytest.raises(NotFoundError):
            client.rules("e\udcff")
        client.flows(5, workload="e\udcff")
    assert ["%FF" in path for _, path, _ in agent.asked] == [True, True]

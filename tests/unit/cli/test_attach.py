"""attach and detach: options become the request, the answer becomes words."""

from __future__ import annotations

import json

import pytest

from pyctl.errors import NotFoundError
from tests import packets


def test_every_option_reaches_the_agent(agent, segctl):
    done = segctl(
        *("attach", "--container", "web", "--interface", "eth0", "--interface", "eth1"),
        *(
            "--name",
            "w",
            "--label",
            "a=b",
            "--label",
            "c=d=e",
            "--label",
            "f-",
            "--datapath",
            "ebpf",
        ),
        *("--mode", "protect", "--fail", "open", "--other-traffic", "drop"),
        *(
            "--any-source",
            "--serves",
            "router,dhcp",
            "--offload",
            "off",
            "--container-host",
            "unix:///x",
            "--force",
            "--once",
            "--dry-run",
        ),
    )
    assert done.exit_code == 0
    assert agent.asked == [
        (
            "POST",
            "/attach",
            {
                "container": "web",
                "interfaces": ["eth0", "eth1"],
                "name": "w",
                "labels": {"a": "b", "c": "d=e", "f": None},
                "datapath": "ebpf",
                "mode": "protect",
                "fail": "open",
                "other_traffic": "drop",
                "any_source": True,
                "serves": ["router", "dhcp"],
                "offload": "off",
                "container_host": "unix:///x",
                "force": True,
                "once": True,
                "dry_run": True,
            },
        )
    ]


@pytest.mark.parametrize(
    ("said", "sent"), [("none", []), ("dhcp,dhcp", ["dhcp"]), ("router", ["router"])]
)
def test_services_may_be_given_and_taken_back(agent, segctl, said, sent):
    segctl("attach", "--pid", "4242", "--serves", said)
    assert agent.asked[0][2]["serves"] == sent


@pytest.mark.parametrize("said", ["", "dns", "dhcp,none", "router dhcp"])
def test_a_service_that_is_none_is_wrong_usage(agent, segctl, said):
    done = segctl("attach", "--pid", "4242", "--serves", said)
    assert done.exit_code == 2
    assert not agent.asked


def test_what_is_not_said_is_not_sent(agent, segctl):
    """Attached again, a workload keeps the options of the first time."""
    segctl("attach", "--pid", "4242")
    assert agent.asked[0][2] == {"pid": 4242, "datapath": "auto", "dry_run": False}


def test_the_callers_container_host_is_asked_not_the_agents(agent, segctl):
    segctl("attach", "--container", "web", env={"DOCKER_HOST": "unix:///mine"})
    assert agent.asked[0][2]["container_host"] == "unix:///mine"


def test_attach_says_what_was_attached_and_warns_on_stderr(agent, segctl):
    done = segctl("attach", "--pid", "4242")
    assert done.stdout.startswith("attached: web (pid 4242, protect, ebpf")
    assert packets.pod_one_ip4 in done.stdout
    assert done.stderr == "warning: eth1 has no address\n"


def test_attaching_again_says_so(agent, segctl):
    agent.changes = {"already": True}
    assert segctl("attach", "--pid", "4242").stdout.startswith("attached already: web")


def test_json_is_the_agents_answer(agent, segctl):
    answer = json.loads(segctl("attach", "--pid", "4242", "-o", "json").stdout)
    assert answer["workload"]["ports"][0]["port_id"] == 7


def test_detach_names_whom_it_means(agent, segctl):
    done = segctl("detach", "web")
    assert done.stdout == "detached web in 9 ms\n"
    assert agent.asked[0][2]["workload"] == "web"


def test_detaching_nothing_is_done_at_once(agent, segctl):
    agent.changes = {"workloads": []}
    done = segctl("detach", "--all")
    assert (done.exit_code, done.stdout) == (0, "nothing was attached\n")
    agent.changes = {"workloads": [], "plan": []}
    done = segctl("detach", "--all", "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "nothing is attached\n")


@pytest.mark.parametrize("command", ["attach", "detach"])
def test_each_container_that_is_named_is_meant(agent, segctl, command):
    """Of two, the first one would have stayed as it was."""
    done = segctl(command, "--container", "web", "--container", "app", "-o", "json")
    assert done.exit_code == 0
    assert [body["container"] for _, _, body in agent.asked] == ["web", "app"]
    assert len(json.loads(done.stdout)) == 2
    segctl(command, "--pid", "7", "--pid", "8", "--pid", "7")
    assert [body["pid"] for _, _, body in agent.asked[2:]] == [7, 8]


def test_one_name_is_not_for_two(agent, segctl):
    done = segctl("attach", "--pid", "1", "--pid", "2", "--name", "web")
    assert done.exit_code == 2
    assert agent.asked == []


def test_one_that_fails_keeps_no_other_from_being_attached(agent, segctl):
    agent.fails = NotFoundError("there is no such container")
    done = segctl("attach", "--container", "web", "--container", "app")
    assert done.exit_code == 3
    assert done.stderr.count("there is no such container") == 2


def test_of_several_names_the_last_counts(agent, segctl):
    """As of a script that has one of its own, and passes on what it is given."""
    segctl("attach", "--pid", "4242", "--name", "default", "--name", "web")
    assert agent.asked[0][2]["name"] == "web"

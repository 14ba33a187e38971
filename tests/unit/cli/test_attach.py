"""attach and detach: options become the request, the answer becomes words."""

from __future__ import annotations

import json

from tests import packets


def test_every_option_reaches_the_agent(agent, segctl):
    done = segctl(
        *("attach", "--container", "web", "--interface", "eth0", "--interface", "eth1"),
        *("--name", "w", "--label", "a=b", "--label", "c=d=e", "--datapath", "ebpf"),
        *("--mode", "protect", "--fail", "open", "--other-traffic", "drop"),
        *(
            "--any-source",
            "--offload",
            "off",
            "--container-host",
            "unix:///x",
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
                "labels": {"a": "b", "c": "d=e"},
                "datapath": "ebpf",
                "mode": "protect",
                "fail": "open",
                "other_traffic": "drop",
                "any_source": True,
                "offload": "off",
                "container_host": "unix:///x",
                "dry_run": True,
            },
        )
    ]


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

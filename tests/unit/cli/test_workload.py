"""list, show, mode, rules: what the agent knows, in words."""

from __future__ import annotations

from tests import packets
from tests.unit.fake_agent import WORKLOAD


def test_list_is_one_line_for_each_workload(agent, segctl):
    head, line = segctl("list").stdout.splitlines()
    assert head.split() == [
        *("NAME", "ID", "PID", "STATE", "MODE", "DATAPATH", "FAIL", "PORTS", "LABELS")
    ]
    assert line.split()[:7] == [
        "web",
        "0123456789ab",
        "4242",
        "attached",
        "protect",
        "ebpf",
        "closed",
    ]
    assert "app=shop,tier=1" in line


def test_show_tells_the_mode_and_whose_word_it_was(agent, segctl):
    text = segctl("show", "web").stdout
    assert "protect, by the policy" in text
    assert "flow_allow" in text
    assert "2 of 1000; evicted 1, no room 3, offload misses 5" in text
    assert f"{packets.world_ip4}:40000 → {packets.pod_one_ip4}:80" in text


def test_show_tells_applications_and_what_waits_for_them(agent, segctl):
    (line,) = (
        one
        for one in segctl("show", "web").stdout.splitlines()
        if one.startswith("applications")
    )
    assert "Redis 2, TLS? 1; 1 pending: it is not known yet; 2 " in line
    agent.changes["applications"] = {
        "sessions": {},
        "pending": 0,
        "decided": 0,
        "requests": 0,
    }
    assert "\napplications   -\n" in segctl("show", "web").stdout


def test_mode_tells_before_and_after(agent, segctl):
    done = segctl("mode", "web", "protect")
    assert done.stdout == "web: discover → protect, by segctl mode\n"
    assert agent.asked[0][2] == {"mode": "protect", "dry_run": False}


def test_rules_without_a_name_are_everybodys(agent, segctl):
    text = segctl("rules").stdout
    assert "web eth0 (port 7, ebpf)" in text
    assert "filter seg_from_vex" in text


def test_rules_of_all_leave_out_who_is_lost_or_went_meanwhile(agent, segctl):
    gone = {**WORKLOAD, "id": "ffffffffffff", "name": "gone", "state": "lost"}
    agent.changes = {"workloads": [gone, WORKLOAD]}
    done = segctl("rules")
    assert done.exit_code == 0, done.stderr
    assert "web eth0 (port 7, ebpf)" in done.stdout
    assert segctl("rules", "gone").exit_code == 3


def test_an_unknown_workload_is_3(agent, segctl):
    assert segctl("show", "nobody").exit_code == 3


def test_list_all_tells_why_a_container_is_not_attached(agent, segctl):
    done = segctl("list", "--all")
    assert "web" in done.stdout
    line = next(one for one in done.stdout.splitlines() if "proxy" in one)
    assert "not-attached" in line
    assert "the network namespace of the host" in line
    assert "podman.sock" in done.stderr
    assert agent.asked[-1][1] == "/containers"

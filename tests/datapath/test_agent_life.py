"""Agents come and go, engines die, containers end: the workload's traffic does not notice, and
nothing is left behind. Numbers are the behaviours of the acceptance list."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from pyctl.errors import NotFoundError, RefusedError
from tests import packets
from tests.datapath.test_splice_refusals import SORT_ALL
from tests.lab.net import traffic
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.pace import wait_for
from tests.lab.processes import descriptors
from tests.lab.segctl.agent import SEGCTL, START_S

IP = packets.pod_one_ip4
NOTHING = {"links": [], "workloads": [], "journal": []}


def test_01_02_attach_keeps_identity_and_detach_is_the_inverse(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    agent.attach(web, "web")
    assert traffic.pings(web, packets.gateway_ip4) == 3
    agent.client.detach(pid=web.pid)
    assert_same(before, picture(web))
    assert agent.remains() == NOTHING


def test_attach_twice_and_detach_twice_change_nothing_more(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    first = agent.attach(web, "web")["workload"]
    again = agent.attach(web, "web")
    assert again["already"]
    assert again["workload"] == first
    agent.client.detach(pid=web.pid)
    assert agent.client.detach(pid=web.pid)["workloads"] == []
    assert_same(before, picture(web))


@pytest.mark.parametrize(
    "ip", [packets.pod_one_ip4, packets.pod_one_ip6], ids=["ipv4", "ipv6"]
)
def test_03_connections_survive_attach_engine_death_and_detach(lab, agent, ip):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, ip, 8080)
    talk = traffic.tcp_talk(client, ip, 8080)
    assert talk.said("before") == {"back": "before\n"}
    agent.attach(web, "web")
    assert talk.said("attached") == {"back": "attached\n"}
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    assert talk.said("engine dead") == {"back": "engine dead\n"}
    wait_for(lambda: agent.engine_pid() not in (0, former))
    assert talk.said("new engine") == {"back": "new engine\n"}
    agent.client.detach(pid=web.pid)
    assert talk.said("detached") == {"back": "detached\n"}


def test_established_connection_in_protect_survives_attach_when_allowed(lab, agent):
    """Mid-stream pick-up must know who serves: the rule names the server's port."""
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 50000)
    talk = traffic.tcp_talk(client, IP, 50000)
    agent.policy(
        "groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\n"
        "rules: [{id: 1, from: any, to: web, ports: [tcp/50000], action: allow}]\n"
    )
    agent.attach(web, "web")
    assert talk.said("still here") == {"back": "still here\n"}


def test_a_restarted_agent_touches_no_packet(lab, agent):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    agent.attach(web, "web")
    talk = traffic.tcp_talk(client, IP, 8080)
    engine = agent.engine_pid()
    agent.kill()
    assert talk.said("no agent") == {"back": "no agent\n"}
    assert traffic.tcp_try(client, IP, 8080) == "open"
    agent.process.wait()
    agent.start()
    assert talk.said("new agent") == {"back": "new agent\n"}
    assert agent.engine_pid() == engine
    assert agent.names() == ["web"]


@pytest.mark.parametrize("after", [0.3, 0.6, 0.9, 1.2, 1.5])
def test_an_agent_ended_while_it_starts_harms_nobody(lab, agent, after):
    """It must not take for leftovers what it has not yet read."""
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    agent.attach(web, "web")
    agent.kill()
    agent.start_and_end_after(after)
    assert traffic.tcp_try(client, IP, 8080) == "open"
    agent.start()
    assert agent.names() == ["web"]


@pytest.mark.parametrize("moment", ["lock_file", "netns", "engine.sock"])
def test_a_break_of_the_attach_that_starts_the_agent_leaves_nothing(lab, agent, moment):
    """The command ends when its agent has ended, so that the next one is not in its way."""
    _host, (web, _client) = lab.pods()
    before = picture(web)
    instance = agent.instance
    agent.stop()
    assert agent.process.returncode == 0
    instance.lock_file.unlink()
    command = subprocess.Popen(
        [SEGCTL, "attach", "--pid", str(web.pid)],
        stderr=subprocess.PIPE,
        env={**os.environ, "SEGCTL_INSTANCE": instance.name},
        start_new_session=True,
    )
    sock = instance.run_dir / "engine.sock"
    there = sock if moment == sock.name else getattr(instance, moment)
    wait_for(there.exists, START_S)
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=START_S)
    assert command.returncode == 1
    assert "it was ended. Nothing was attached" in said.decode()
    assert not any(path.exists() for path in (instance.netns, instance.pin_root))
    assert_same(before, picture(web))
    agent.start()
    assert agent.client.workloads()["workloads"] == []


def test_detach_works_with_the_agent_gone(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    agent.attach(web, "web")
    agent.kill()
    done = agent.cli("detach", "--pid", str(web.pid))
    assert "web" in done.stdout
    assert_same(before, picture(web))


def test_a_stopped_agent_leaves_workloads_enforced(lab, agent):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    agent.attach(web, "web", mode="protect")
    agent.stop()
    assert traffic.tcp_try(client, IP, 8080) == "silence"
    agent.start()
    assert traffic.tcp_try(client, IP, 8080) == "silence"


@pytest.mark.parametrize(
    ("fail", "expected"), [("open", "open"), ("closed", "silence")]
)
def test_10_a_dead_engine_fails_as_the_workload_says(lab, agent, fail, expected):
    """With the agent stopped nobody replaces the engine, so the datapath itself decides."""
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    agent.policy("rules: [{id: 1, from: any, to: any, action: allow}]\n")
    agent.attach(web, "web", mode="protect", fail=fail)
    engine = agent.engine_pid()
    agent.kill()
    os.kill(engine, signal.SIGKILL)
    reason = {"open": "fail_open", "closed": "engine_down"}[fail]

    def decided_by_the_kernel() -> bool:
        met = traffic.tcp_try(client, IP, 8080, seconds=0.3)
        counters = agent.cli("dump-maps", "seg_counters", "-o", "json").stdout
        return met == expected and reason in counters

    wait_for(decided_by_the_kernel)
    agent.start()
    wait_for(lambda: traffic.tcp_try(client, IP, 8080) == "open")
    assert agent.counts("web")[reason] >= 1


def test_13_a_container_that_ends_leaves_nothing(lab, agent):
    host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    web.destroy()
    wait_for(lambda: agent.remains() == NOTHING, 10)
    # The kernel takes a namespace down in its own time.
    wait_for(lambda: "veth0" not in [link["ifname"] for link in host.ip("link")])
    dumped = agent.cli("dump-maps", "-o", "json").stdout
    assert packets.pod_one_mac not in dumped


def test_13_a_bound_namespace_gets_its_interface_back_with_its_last_process_gone(
    lab, agent
):
    """Its second one goes on with what the first one had: test_succession."""
    _host, (web, _client) = lab.pods()
    second = web.spawn("sleep", "60")
    before = picture(web)
    agent.attach(web, "web")
    for process in (web.holder, second):
        process.kill()
        process.wait()
    wait_for(lambda: agent.remains() == NOTHING, 10)
    assert_same(before, picture(web))
    told = agent.messages()
    left = "has eth0 back and is not protected any more: attach again whoever enters it"
    assert [line for line in told if line.endswith(left)]


def test_many_cycles_leak_no_descriptor_link_or_map_entry(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)

    def cycle():
        agent.attach(web, "web")
        agent.client.detach(pid=web.pid)

    cycle()
    had = descriptors(agent.process.pid)
    for _ in range(30):
        cycle()
    wait_for(lambda: descriptors(agent.process.pid) <= had)
    assert_same(before, picture(web))
    assert agent.remains() == NOTHING
    rows = agent.cli("dump-maps", "seg_ports", "-o", "json").stdout
    assert packets.pod_one_mac not in rows


def test_refusals_say_why_and_touch_nothing(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    with pytest.raises(NotFoundError):
        agent.client.attach(pid=2**22 - 1)
    with pytest.raises(RefusedError):
        agent.client.attach(pid=agent.process.pid)
    web.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
    web.run(*SORT_ALL)
    with pytest.raises(RefusedError, match="clsact"):
        agent.attach(web, "web")
    web.run("tc", "qdisc", "del", "dev", "eth0", "clsact")
    with pytest.raises(NotFoundError):
        agent.attach(web, "web", interfaces=["nope0"])
    assert_same(before, picture(web))
    assert agent.remains() == NOTHING


def test_dry_runs_say_what_they_would_do_and_do_nothing(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    answer = agent.attach(web, "web", dry_run=True)
    assert answer["workload"] is None
    assert any("eth0" in line for line in answer["plan"])
    assert_same(before, picture(web))
    agent.attach(web, "web")
    assert agent.client.detach(pid=web.pid, dry_run=True)["plan"]
    assert agent.names() == ["web"]


def test_a_second_agent_of_the_instance_is_refused(agent):
    done = agent.cli("agent", "run", check=False)
    assert done.returncode == 1
    assert "second agent" in done.stderr


def test_the_socket_is_roots_alone(agent):
    for path in (agent.instance.api_socket, agent.instance.run_dir / "engine.sock"):
        assert path.stat().st_mode & 0o077 == 0


def test_debug_logs_are_switched_on_at_run_time(lab, agent):
    agent.cli("agent", "log-level", "error")
    agent.cli("agent", "log-level", "debug")
    assert agent.client.status()["log_level"] == "debug"


def test_a_new_engine_finds_no_flow_of_the_one_before(lab, agent):
    """Nobody would ever take those out, and the map would fill."""
    _host, (web, client) = lab.pods()
    traffic.udp_echo(web, IP, 8081)
    agent.attach(web, "web")
    assert traffic.udp_try(client, IP, 8081) == "open"

    def cached() -> bool:
        rows = agent.cli("dump-maps", "seg_flows4", "-o", "json").stdout
        return packets.pod_two_ip4 in rows

    wait_for(cached)
    os.kill(agent.engine_pid(), signal.SIGKILL)
    wait_for(lambda: not cached())

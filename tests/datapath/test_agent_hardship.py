"""What workloads, operators and kernels do to an agent that means no harm: interfaces deleted, engines
stopped in their tracks. The node's other workloads must not notice."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial

import pytest

from pyctl.errors import RefusedError, SegctlError, UsageError
from pyctl.intercept.restore import snapshot
from pyctl.intercept.steps import journal
from pyctl.model.workload import ADDRESSES_MAX
from pyctl.platform import netns
from pyctl.platform.netlink import links
from pyctl.platform.process import netns_of, process_ref
from tests import packets
from tests.lab import disks
from tests.lab.net import traffic
from tests.lab.net.snapshot import assert_same, picture
from tests.lab.pace import wait_for

GATEWAY = packets.gateway_ip4
LEFT = {"client": ["eth0"], "web": []}


def spliced(agent) -> dict[str, list[str]]:
    """Each workload's interfaces."""
    return {
        load["name"]: [port["interface"] for port in load["ports"]]
        for load in agent.client.workloads()["workloads"]
    }


def zombies_of(pid: int) -> list[str]:
    argv = ["ps", "--ppid", str(pid), "-o", "stat="]
    listed = subprocess.run(argv, check=False, capture_output=True, text=True)
    return [state for state in listed.stdout.split() if state.startswith("Z")]


no_room = partial(disks.small, size="4k,nr_inodes=1")
"""Nothing more can be written there."""


def test_an_interface_that_the_workload_deletes_is_let_go(lab, agent):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    web.run("ip", "link", "del", "eth0")
    wait_for(lambda: spliced(agent) == LEFT)
    assert len(agent.remains()["links"]) == 2
    assert traffic.pings(client, GATEWAY) == 3


def test_a_workload_without_its_interface_does_not_keep_the_agent_from_starting(
    lab, agent
):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.kill()
    web.run("ip", "link", "del", "eth0")
    agent.start()
    assert spliced(agent) == LEFT
    assert traffic.pings(client, GATEWAY) == 3


def test_a_port_whose_host_peer_was_deleted_is_let_go(lab, agent):
    host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    agent.kill()
    host.run("ip", "link", "del", "veth0")
    agent.start()
    assert spliced(agent) == LEFT
    assert len(agent.remains()["links"]) == 2
    assert not [link for link in web.ip("link") if link["ifname"] == "eth0"]


def test_engines_that_died_leave_no_zombie(lab, agent):
    for _ in range(3):
        former = agent.engine_pid()
        os.kill(former, signal.SIGKILL)
        wait_for(lambda former=former: agent.engine_pid() not in (0, former), 10)
    assert zombies_of(agent.process.pid) == []


def test_an_agent_killed_while_it_replaces_the_engine_has_a_successor(lab, agent):
    """Which finds an engine that nobody has taught anything."""
    _host, (web, client) = lab.pods()
    for port in (8080, 8081):
        traffic.tcp_echo(web, packets.pod_one_ip4, port)
    agent.attach(web, "web", mode="protect")
    agent.policy(
        "groups: {web: {selector: {name: web}}}\n"
        "rules: [{id: 1, from: any, to: web, ports: [tcp/8080], action: allow}]\n"
    )
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former))
    agent.kill()
    agent.start()
    assert traffic.tcp_try(client, packets.pod_one_ip4, 8080) == "open"
    assert traffic.tcp_try(client, packets.pod_one_ip4, 8081) == "silence"


def test_an_agent_replaces_a_stopped_engine_that_it_finds_at_its_start(lab, agent):
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web", mode="monitor")
    former = agent.engine_pid()
    agent.kill()
    os.kill(former, signal.SIGSTOP)
    agent.start()
    assert agent.engine_pid() not in (0, former)
    assert traffic.pings(web, GATEWAY) == 3


def test_a_burial_that_fails_keeps_no_engine_from_being_replaced(lab, agent):
    """A full disk: the registry cannot be written."""
    host, (web, client) = lab.pods()
    lab.veth(web, "eth1", host, "more")
    web.run("ip", "addr", "add", f"{packets.pod_peer_ip4}/24", "dev", "eth1")
    agent.attach(web, "web")
    agent.attach(client, "client")
    with no_room(agent.instance.workload_dir):
        web.destroy()
        former = agent.engine_pid()
        os.kill(former, signal.SIGKILL)
        wait_for(lambda: agent.engine_pid() not in (0, former), 10)
    wait_for(lambda: agent.names() == ["client"], 10)
    assert len(agent.log.read_bytes()) < 1 << 20
    assert traffic.pings(client, GATEWAY) == 3


def test_a_workload_that_changes_as_it_ends_does_not_end_the_watch(lab, agent):
    """Both are told in one poll; of what ended, the rest is nothing to follow."""
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    os.kill(agent.process.pid, signal.SIGSTOP)
    web.run("ip", "link", "set", "eth0", "mtu", "1400")
    web.holder.kill()
    web.holder.wait()
    os.kill(agent.process.pid, signal.SIGCONT)
    wait_for(lambda: agent.names() == ["client"], 10)
    former = agent.engine_pid()
    os.kill(former, signal.SIGKILL)
    wait_for(lambda: agent.engine_pid() not in (0, former), 10)
    assert "watching failed" not in agent.log.read_text()


def test_two_workloads_that_share_one_veth_reach_each_other_while_attached(lab, agent):
    """The peer of each original interface is the other's, in our own namespace by then."""
    one, two = lab.netns("one"), lab.netns("two")
    lab.veth(one, "eth0", two, "eth0")
    for pod, ip in ((one, packets.pod_one_ip4), (two, packets.pod_two_ip4)):
        pod.run("ip", "addr", "add", f"{ip}/{packets.prefix_ip4}", "dev", "eth0")
    before = picture(one), picture(two)
    agent.attach(one, "one")
    assert traffic.pings(one, packets.pod_two_ip4) == 3
    agent.attach(two, "two")
    assert traffic.pings(one, packets.pod_two_ip4) == 3
    assert traffic.pings(two, packets.pod_one_ip4) == 3
    agent.client.detach(pid=one.pid)
    assert traffic.pings(one, packets.pod_two_ip4) == 3
    agent.client.detach(pid=two.pid)
    assert_same(before[0], picture(one))
    assert_same(before[1], picture(two))


def test_attach_again_takes_the_interfaces_that_came_since(lab, agent):
    host, (web, _client) = lab.pods()
    agent.attach(web, "web", interfaces=["eth0"])
    lab.veth(web, "eth1", host, "more")
    web.run("ip", "addr", "add", f"{packets.pod_peer_ip4}/24", "dev", "eth1")
    host.run("ip", "addr", "add", f"{packets.peer_ip4}/24", "dev", "more")
    before = picture(web)
    planned = agent.attach(web, "web", dry_run=True)
    assert not planned["already"]
    assert any("eth1" in line for line in planned["plan"])
    again = agent.attach(web, "web", interfaces=["eth1"])
    assert not again["already"]
    assert [port["interface"] for port in again["workload"]["ports"]] == [
        "eth0",
        "eth1",
    ]
    assert agent.attach(web, "web", labels={"app": "db", "tier": "1"})["already"]
    labelled = agent.attach(web, "web", labels={"app": None, "none": None})
    assert labelled["workload"]["labels"] == {"tier": "1"}
    assert traffic.pings(web, packets.peer_ip4) == 3
    assert traffic.pings(web, GATEWAY) == 3
    assert_same(before, picture(web))


def delete_name(agent) -> None:
    subprocess.run(["ip", "netns", "del", agent.instance.name], check=False)


def test_an_enforcer_namespace_deleted_by_hand_gets_its_name_back(lab, agent):
    _host, (web, client) = lab.pods()
    before = picture(web)
    agent.attach(web, "web")
    delete_name(agent)
    agent.attach(client, "client")
    assert traffic.pings(client, GATEWAY) == 3
    assert traffic.pings(web, GATEWAY) == 3
    delete_name(agent)
    agent.client.detach(pid=web.pid)
    assert_same(before, picture(web))
    assert agent.names() == ["client"]


def test_an_agent_that_ends_or_starts_finds_a_namespace_without_its_name(lab, agent):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    agent.attach(web, "web")
    delete_name(agent)
    agent.stop()
    assert traffic.pings(web, GATEWAY) == 3
    delete_name(agent)
    agent.start()
    assert agent.names() == ["web"]
    agent.client.detach(pid=web.pid)
    assert_same(before, picture(web))


def test_another_namespace_under_the_enforcers_name_is_refused(lab, agent):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")

    def stranger_takes_the_name() -> bool:
        """The agent gives it back within a moment: be quicker."""
        delete_name(agent)
        added = subprocess.run(["ip", "netns", "add", agent.instance.name], check=False)
        return added.returncode == 0

    wait_for(stranger_takes_the_name)
    with pytest.raises(RefusedError, match="ip netns del"):
        agent.attach(client, "client")
    assert traffic.pings(client, GATEWAY) == 3
    delete_name(agent)
    agent.attach(client, "client")
    assert traffic.pings(client, GATEWAY) == 3


def test_the_ports_follow_the_mtu_that_the_workload_sets(lab, agent):
    host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    host.run("ip", "link", "set", "veth0", "mtu", "9000")
    host.run("ip", "link", "set", "br0", "mtu", "9000")
    web.run("ip", "link", "set", "eth0", "mtu", "9000")
    ping = ("ping", "-c1", "-W1", "-M", "do", "-s", "8000", GATEWAY)
    wait_for(lambda: web.run(*ping, check=False).returncode == 0)


def test_an_interface_that_the_workload_renames_is_followed(lab, agent):
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web", mode="monitor")
    web.run("ip", "link", "set", "eth0", "name", "lan0")
    web.run("ip", "addr", "add", f"{packets.pod_one_extra_ip4}/24", "dev", "lan0")
    ports = lambda: agent.client.workload("web")["ports"]  # noqa: E731
    wait_for(lambda: ports()[0]["interface"] == "lan0")
    claims = lambda: agent.client.workload("web")["claims"]  # noqa: E731
    wait_for(lambda: [one["interface"] for one in claims()] == ["lan0"])
    renamed = picture(web)
    agent.client.detach(pid=web.pid)
    assert_same(renamed, picture(web))


def test_a_workload_with_thousands_of_addresses_harms_no_other(lab, agent):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web", follow="free")
    agent.attach(client, "client")
    net = packets.world_net_ip6.split("::")[0]
    many = "\n".join(
        f"addr add {net}::{n:x}/128 dev eth0 nodad" for n in range(1, 3000)
    )
    web.run("ip", "-b", "-", input=many)
    agent.policy(
        "groups: {web: {selector: {name: web}}}\nmodes: {any: protect}\n"
        "rules: [{id: 1, from: web, to: any, action: allow}]\n"
    )
    assert agent.client.set_mode("client", "monitor")["after"] == "monitor"
    found = agent.client.workload("web")
    assert len(found["ports"][0]["addresses"]) < 10
    assert len(found["claims"]) == ADDRESSES_MAX
    assert traffic.pings(client, GATEWAY) == 3


@pytest.mark.parametrize("what", ["journal_dir", "workload_dir"])
def test_a_full_disk_refuses_the_attach_and_leaves_the_workload_as_it_was(
    lab, agent, what
):
    _host, (web, _client) = lab.pods()
    before = picture(web)
    with no_room(getattr(agent.instance, what)):
        with pytest.raises(SegctlError, match="No space left"):
            agent.attach(web, "web")
        assert_same(before, picture(web))
        assert agent.names() == []
    agent.attach(web, "web")
    with no_room(agent.instance.journal_dir):
        with pytest.raises(SegctlError, match="No space left"):
            agent.client.detach(pid=web.pid)
        assert agent.names() == ["web"]
        assert traffic.pings(web, GATEWAY) == 3
    agent.client.detach(pid=web.pid)
    assert_same(before, picture(web))


def test_a_policy_that_cannot_be_stored_is_refused_whole(lab, agent):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, packets.pod_one_ip4, 8080)
    agent.attach(web, "web", mode="protect")
    with no_room(agent.instance.state_dir):
        with pytest.raises(SegctlError, match="No space left"):
            agent.policy("rules: [{id: 1, from: any, to: any, action: allow}]\n")
        assert traffic.tcp_try(client, packets.pod_one_ip4, 8080) == "silence"
    assert agent.client.policy()["rules"] == 0


def test_a_detach_is_told_to_lose_what_came_onto_the_interface(lab, agent):
    """Without that it is refused; whoever may put something onto it cannot forbid it for ever."""
    _host, (web, _client) = lab.pods()
    before = picture(web)
    agent.attach(web, "web")
    web.run("ip", "link", "add", "link", "eth0", "name", "mv0", "type", "macvlan")
    plan = agent.client.detach(pid=web.pid, dry_run=True)["plan"]
    assert plan[0] == "web: lose: eth0 has mv0 on top of it, which is lost"
    with pytest.raises(SegctlError, match="mv0 on top of it, which is lost"):
        agent.client.detach(pid=web.pid)
    assert agent.names() == ["web"]
    assert "mv0" in web.run("ip", "link").stdout
    done = agent.client.detach(pid=web.pid, force=True)
    assert done["warnings"] == ["web: eth0 has mv0 on top of it, which is lost"]
    assert_same(before, picture(web))


def test_a_macvlan_with_routes_keeps_nobody_from_detaching(lab, agent):
    """Nor the process's end: the namespace lives on under its name, and has its interface again."""
    _host, (web, client) = lab.pods()
    before = picture(web)
    agent.attach(web, "web")
    stand_on_top(web)
    agent.client.detach(pid=web.pid, force=True)
    assert_same(before, picture(web))
    agent.attach(web, "web")
    stand_on_top(web)
    web.holder.kill()
    web.holder.wait()
    wait_for(lambda: agent.names() == [], 10)
    assert_same(before, picture(web))
    assert agent.messages("mv0 on top of it")
    assert len(agent.messages("its process has ended")) == 1
    assert traffic.pings(client, GATEWAY) == 3


def stand_on_top(pod) -> None:
    """A macvlan on eth0, with an address and a route over it."""
    for line in (
        "link add link eth0 name mv0 type macvlan",
        "link set mv0 up",
        f"addr add {packets.peer_ip4}/32 dev mv0",
        f"route add {packets.onlink_net_ip4} dev mv0",
    ):
        pod.run("ip", *line.split())


def half_detached(agent, pod) -> None:
    """As by an agent that was killed in a detach that nobody can finish: its journal names no port of ours."""
    (port,) = agent.client.workload("web")["ports"]
    instance, process = agent.instance, process_ref(pod.pid)
    agent.kill()
    with netns_of(process) as fd, netns.raw_in(fd) as nl:
        link = links.by_name(nl, "eth0")
        record = journal.Record(
            "detach",
            process,
            netns.cookie(fd),
            port["vex"],
            port["vin"],
            "no mark",
            snapshot.read(nl, fd, link),
        )
    path = journal.journal_path(instance.journal_dir, process, link.index)
    with journal.created(path, record):
        pass


def test_no_state_of_one_workload_keeps_the_agent_from_starting(lab, agent):
    """It is told, tried again, and carries nothing meanwhile; when its process ends nothing of it is left."""
    _host, (web, client) = lab.pods()
    agent.attach(web, "web", mode="protect")
    agent.attach(client, "client")
    half_detached(agent, web)
    (agent.instance.journal_dir / "1-2.journal").write_bytes(b"[]\n\xff\n")
    (agent.instance.journal_dir / "1-3.journal").mkdir()
    agent.start()
    assert traffic.pings(client, GATEWAY) == 3
    (left,) = agent.client.workload("web")["uninspected"]
    assert left["interface"] == "eth0"
    assert "not steered, and carries nothing" in left["reason"]
    assert len(agent.messages("interrupted detach of eth0")) == 1
    assert len(agent.messages("is not steered")) == 1
    web.destroy()
    wait_for(lambda: agent.names() == ["client"], 10)
    assert len(agent.remains()["links"]) == 2
    assert len(agent.messages("its process has ended")) == 1


def test_a_name_is_one_workloads_and_is_plain(lab, agent):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    with pytest.raises(RefusedError, match="attached already"):
        agent.attach(client, "web")
    for name in ("a/../b", "two\nlines", "\x1b[31m", ""):
        with pytest.raises(UsageError):
            agent.attach(client, name)
    assert sorted(agent.names()) == ["client", "web"]


def test_filters_that_a_stranger_removes_come_back(lab, agent):
    """Without them the workload is cut off, for nothing passes by a hook that has none."""
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    traffic.reaches(web, packets.gateway_ip4)
    links = agent.remains()["links"]
    for words in (
        ["filter", "del", "dev", links[0], "ingress"],
        ["qdisc", "del", "dev", links[1], "clsact"],
        ["filter", "del", "dev", "vbr-neuv", "ingress", "pref", "10001"],
    ):
        agent.enforcer("tc", *words)
    traffic.reaches(web, packets.gateway_ip4)
    # A flow that the kernel carries does not need vbr, whose repair may come a second later.
    wait_for(lambda: "held as intended" in agent.cli("rules", "web").stdout)
    assert agent.messages("rules repaired: missing")


def test_a_filter_that_a_stranger_puts_in_front_is_told_and_left_there(lab, agent):
    """What it would take is never inspected; but it is not ours."""
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    link = agent.remains()["links"][0]
    place = ("dev", link, "ingress", "pref", "5")
    nobody = ("match", "ip", "protocol", "253", "0xff", "flowid", "1:1")
    agent.enforcer("tc", "filter", "add", *place, "protocol", "ip", "u32", *nobody)

    def told():
        events = agent.client.events(50)["events"]
        return [
            (one["workload"], one["message"].split(":")[0])
            for one in events
            if "in front" in one["message"]
        ]

    line = f"in front {link} pref 5"
    assert wait_for(told) == [("web", line)]
    agent.kill()
    agent.start()
    wait_for(told)
    shown = agent.cli("rules", "web").stdout
    assert line in shown
    assert "held as intended" in shown
    assert "u32" in agent.enforcer("tc", "filter", "show", *place)
    traffic.reaches(web, packets.gateway_ip4)
    agent.enforcer("tc", "filter", "del", *place)
    wait_for(lambda: ("web", f"no longer {line}") in told())
    assert line not in agent.cli("rules", "web").stdout

"""Whose an address is on a bridge, with the agent looking after it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor, wait

from pyctl.datapath.maps import dump_maps
from pyctl.datapath.pins import open_map
from tests import packets
from tests.lab.net import traffic
from tests.lab.pace import wait_for

GATEWAY = packets.gateway_ip4


def macs(agent) -> dict[str, object]:
    """Owner by MAC, of the segments that are known."""
    rows = dump_maps(agent.instance, "seg_macs")["seg_macs"]
    return {row["mac"]: row["owner"] for row in rows}


def mac_of(pod, name: str) -> str:
    told = pod.run("ip", "-j", "link", "show", "dev", name).stdout
    return str(json.loads(told)[0]["address"])


def test_on_a_bridge_nobody_speaks_with_anothers_address(lab, agent):
    """What the host sends on goes on passing, also when its bridge has another MAC."""
    host, (web, client) = lab.pods()
    agent.attach(web, "web")
    wait_for(lambda: macs(agent).get(mac_of(host, "br0")) == "host")
    assert traffic.pings(web, GATEWAY) == 3
    agent.attach(client, "client")
    wait_for(lambda: mac_of(client, "eth0") in macs(agent))
    assert traffic.pings(client, packets.pod_one_ip4) == 3
    host.run("ip", "link", "set", "br0", "address", packets.stranger_mac)
    wait_for(lambda: macs(agent).get(packets.stranger_mac) == "host")
    web.run("ip", "neigh", "flush", "all")
    assert traffic.pings(web, GATEWAY) == 3


def known(agent) -> set[tuple[str, bytes, bytes]]:
    """Whose addresses, MACs and networks are whose: map, key, value."""
    found = set()
    for name in ("seg_addrs", "seg_owners", "seg_macs", "seg_nets"):
        with open_map(agent.instance, name) as opened:
            found |= {(name, *entry) for entry in opened.entries()}
    return found


def test_an_agent_that_starts_anew_takes_nothing_out_of_the_maps(lab, agent):
    _host, (web, client) = lab.pods()
    agent.policy(
        f"groups: {{far: {{cidrs: [{packets.world_net_ip4}]}}}}\n"
        "rules: [{id: 1, from: far, to: any, action: allow}]\n"
    )
    for pod, name in ((web, "web"), (client, "client")):
        agent.attach(pod, name)

    def on_the_bridge() -> bool:
        keys = [key for name, key, _ in known(agent) if name == "seg_owners"]
        return 2 * sum(any(key[:4]) for key in keys) == len(keys)

    wait_for(on_the_bridge)
    before = known(agent)
    agent.kill()
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(agent.start)
        while wait([started], timeout=0.01).not_done:
            assert known(agent) ^ before == set()
        started.result()


def test_an_address_taken_from_another_is_told_and_cuts_nobody(lab, agent):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client")
    taken = f"{packets.pod_one_ip4}/32"
    client.run("ip", "addr", "add", taken, "dev", "lo")

    def claims() -> list[tuple[str, str]]:
        found = agent.client.workload("client")["claims"]
        return [(one["state"], one["reason"]) for one in found]

    wait_for(lambda: claims() == [("refused", "web has it")])
    assert f"it gave itself {taken} (lo): refused, web has it" in agent.messages()
    assert agent.client.workload("web")["shared"] == []
    client.run("ip", "addr", "del", taken, "dev", "lo")
    wait_for(lambda: claims() == [])


def test_an_address_that_moves_is_whose_interface_has_it(lab, agent):
    """A floating address fails over: in discover at once, followed also by name."""
    host, (web, client) = lab.pods()
    moving = f"{packets.leased_ip4}/32"
    web.run("ip", "addr", "add", moving, "dev", "eth0")
    agent.attach(web, "web")
    agent.attach(client, "client", follow="free")

    def claims() -> list[str]:
        return [one["state"] for one in agent.client.workload("client")["claims"]]

    for old, new, state in ((web, client, ["followed"]), (client, web, [])):
        old.run("ip", "addr", "del", moving, "dev", "eth0")
        new.run("ip", "addr", "add", moving, "dev", "eth0")
        wait_for(lambda state=state: claims() == state)
        host.run("ip", "neigh", "flush", "all")
        host.run("ip", "route", "replace", moving, "dev", "br0")
        assert traffic.pings(host, packets.leased_ip4) == 3

    wait_for(lambda: f"it has {moving} again" in agent.messages())
    assert f"it has {moving} no more, which others may have" in agent.messages()


def test_what_another_on_the_bridge_has_is_a_claim_at_the_attach_too(lab, agent):
    """Before it is attached, and before it is attached again: the other's rights stay as they are."""
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    taken = (f"{packets.pod_one_ip4}/32", f"{packets.pod_one_ip6}/128")
    for text in taken:
        client.run("ip", "addr", "add", text, "dev", "lo")
    refused = [("refused", "web has it")] * len(taken)

    def found(name: str) -> dict[str, object]:
        return dict(agent.client.workload(name))

    for _ in range(2):
        told = agent.attach(client, "client")["warnings"]
        assert all(f"{text} (lo) is not its own: web has it" in told for text in taken)
        claims = [(one["state"], one["reason"]) for one in found("client")["claims"]]
        assert claims == refused
        assert not {*taken} & {*found("client")["addresses"]}
        assert found("web")["shared"] == []
    agent.client.detach(pid=web.pid)
    claims = [one["state"] for one in found("client")["claims"]]
    assert claims == ["unused"] * len(taken)
    agent.attach(web, "web")
    assert found("web")["shared"] == []


def test_a_neighbours_mac_is_not_followed(lab, agent):
    _host, (web, client) = lab.pods()
    agent.attach(web, "web")
    agent.attach(client, "client", follow="any")
    mac = mac_of(web, "eth0")
    client.run("ip", "link", "set", "eth0", "address", mac)
    told = f"eth0 has the MAC {mac} by now: refused, web has it"
    wait_for(lambda: told in agent.messages())
    assert agent.client.workload("client")["ports"][0]["mac"] != mac
    assert traffic.pings(web, GATEWAY) == 3


def test_two_tenants_with_one_address_plan_are_each_judged_by_their_own_rules(
    lab, agent
):
    """On a bridge of one's own, whoever has the address there is meant: by rules, in flows, by `policy test`."""
    host, red = lab.pods()
    blue = [lab.netns(f"blue{number}") for number in range(2)]
    host.batch("link add br1 type bridge", "link set br1 up")
    for number, pod in enumerate(blue):
        lab.veth(pod, "eth0", host, f"blue{number}")
        host.run("ip", "link", "set", f"blue{number}", "master", "br1")
        ip4 = (packets.pod_one_ip4, packets.pod_two_ip4)[number]
        pod.run("ip", "addr", "add", f"{ip4}/{packets.prefix_ip4}", "dev", "eth0")
    servers = []
    for name, (server, client) in (("red", red), ("blue", blue)):
        servers.append(traffic.tcp_echo(server, packets.pod_one_ip4, 5001))
        servers.append(traffic.tcp_echo(server, packets.pod_one_ip4, 5002))
        agent.attach(server, f"{name}-db")
        agent.attach(client, f"{name}-app")
    agent.policy("""
groups:
  red-app: {selector: {name: red-app}}
  red-db: {selector: {name: red-db}}
  blue-app: {selector: {name: blue-app}}
  blue-db: {selector: {name: blue-db}}
modes: {red-app: protect, red-db: protect, blue-app: protect, blue-db: protect}
rules:
  - {id: 1, from: red-app, to: red-db, ports: [tcp/5001], action: allow}
  - {id: 2, from: blue-app, to: blue-db, ports: [tcp/5002], action: allow}
""")

    def met(client) -> list[str]:
        tries = (traffic.tcp_try(client, packets.pod_one_ip4, p) for p in (5001, 5002))
        return list(tries)

    wait_for(lambda: met(red[1]) == ["open", "silence"], seconds=10)
    wait_for(lambda: met(blue[1]) == ["silence", "open"], seconds=10)
    for name, port in (("red", 5001), ("blue", 5002)):
        told = agent.cli(
            *("policy", "test", "--from", f"{name}-app", "--to", f"{name}-db"),
            *("--port", f"tcp/{port}"),
        )
        assert "is shared by" not in told.stdout

    def denied() -> set[tuple[str, str]]:
        flows = agent.client.flows(verdict="deny", limit=50)["flows"]
        return {(one["source_name"], one["destination_name"]) for one in flows}

    wait_for(lambda: ("blue-app", "blue-db") in denied())
    assert denied() <= {("red-app", "red-db"), ("blue-app", "blue-db")}


def test_a_mac_leads_to_nobody_who_has_not_the_address(lab, agent):
    """Who may send to the world sends none of that to another workload, though that one gives itself the address; nor
    what is for a workload to one that is not attached.
    """
    _host, (web, client, stranger) = lab.pods(3)
    far, near = (packets.world_ip4, packets.world_ip6), packets.pod_two_ip4
    agent.policy(
        "rules: [{id: 1, from: any, to: any, ports: [udp/53], action: allow}]\n"
    )
    agent.attach(web, "web", mode="protect")
    agent.attach(client, "client", mode="protect")
    wait_for(lambda: packets.pod_two_mac in macs(agent))
    sent = [(ip, client, packets.pod_two_mac) for ip in far]
    for ip, pod, mac in (*sent, (near, stranger, packets.pod_three_mac)):
        pod.run("ip", "addr", "add", ip, "dev", "lo")
        web.run(
            *("ip", "neigh", "replace", ip, "lladdr", mac, "dev", "eth0"),
            *("nud", "permanent"),
        )
        if ip in far:
            web.run("ip", "route", "add", ip, "dev", "eth0")
        traffic.udp_echo(pod, ip, 53)
        assert traffic.udp_try(web, ip, 53) == "silence"
    assert agent.counts("client")["not_mine"] == len(far)
    assert agent.counts("web")["wrong_mac"] == 1
    web.run("ip", "neigh", "del", near, "dev", "eth0")
    traffic.udp_echo(client, near, 53)
    assert traffic.udp_try(web, near, 53) == "open"

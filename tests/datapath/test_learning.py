"""Three tiers talk, somebody scans: what is learned allows the former, and nothing of the latter."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import yaml

from tests import packets
from tests.lab.datapath.wiring import u32_missing
from tests.lab.net import traffic
from tests.lab.net.netns import Netns
from tests.lab.pace import wait_for

APP_PORT, DB_PORT, SILENT = 8080, 5432, 8081

_SCAN = """
ip, ports = sys.argv[1], range(int(sys.argv[2]), int(sys.argv[3]))
refused = 0
for port in ports:
    try: socket.create_connection((ip, port), timeout=1).close()
    except ConnectionRefusedError: refused += 1
say(refused=refused)
"""


@dataclass
class Tiers:
    """web asks app, app asks db, and so does the host, by addresses of one IP version."""

    host: Netns
    web: Netns
    app: Netns
    db: Netns
    host_ip: str
    app_ip: str
    db_ip: str

    def talk(self) -> None:
        for client in (self.web, self.host):
            assert traffic.tcp_round(client, self.app_ip, APP_PORT, 1000)
        assert traffic.udp_try(self.web, self.app_ip, 53) == "open"
        assert traffic.tcp_round(self.app, self.db_ip, DB_PORT, 1000)
        assert traffic.pings(self.web, self.app_ip) == 3


IPS = {
    4: (packets.gateway_ip4, packets.pod_two_ip4, packets.pod_three_ip4),
    6: (packets.gateway_ip6, packets.pod_two_ip6, packets.pod_three_ip6),
}


@pytest.fixture(
    params=[("ebpf", 4), ("ebpf", 6), ("u32", 4)], ids=lambda p: f"{p[0]}-{p[1]}"
)
def tiers(request, lab, agent):
    """Name: tiers. Scope: function. Depends: lab, agent. Attached in discover, by each datapath."""
    datapath, version = request.param
    if datapath == "u32" and (lacks := u32_missing()):
        pytest.skip(f"no u32 datapath on this kernel: {lacks}")
    host, pods = lab.pods(3)
    made = Tiers(host, *pods, *IPS[version])
    traffic.tcp_echo(made.app, made.app_ip, APP_PORT)
    traffic.udp_echo(made.app, made.app_ip, 53)
    traffic.tcp_echo(made.db, made.db_ip, DB_PORT)
    traffic.tcp_echo(made.db, made.db_ip, SILENT)
    for pod, name in zip(pods, ("web-1", "app", "db"), strict=True):
        agent.attach(pod, name, datapath=datapath)
    return made


def learned(agent, *options):
    return agent.cli("policy", "learned", *options)


def between(document):
    return {
        (rule["from"], rule["to"]): set(rule["ports"]) for rule in document["rules"]
    }


def test_what_was_answered_is_learned_and_then_allowed_in_protect(agent, tiers):
    tiers.talk()
    scanner = traffic.Program(tiers.host, _SCAN, tiers.db_ip, "6000", "6030")
    assert scanner.heard() == {"refused": 30}
    assert traffic.tcp_try(tiers.web, tiers.db_ip, 7000) == "refused"
    still_open = traffic.tcp_talk(tiers.app, tiers.db_ip, SILENT)
    still_open.said("hello")
    expected = {
        ("web-1", "app"): {f"tcp/{APP_PORT}", "udp/53", "icmp"},
        ("app", "db"): {f"tcp/{DB_PORT}", f"tcp/{SILENT}"},
        ("app-clients", "app"): {f"tcp/{APP_PORT}"},
    }

    def document():
        found = json.loads(learned(agent, "-o", "json").stdout)
        return found if between(found) == expected else None

    body = wait_for(document)
    assert body["groups"]["app-clients"] == {"cidrs": [tiers.host_ip]}
    done = learned(agent)
    assert "not learned: 30 flows, from who tried many places" in done.stderr
    assert "web-1 → db" in done.stderr
    assert yaml.safe_load(done.stdout)["rules"] == body["rules"]

    agent.client.apply_policy(done.stdout)
    for name in ("web-1", "app", "db"):
        agent.client.set_mode(name, "protect")
    tiers.talk()
    assert still_open.said("again") == {"back": "again\n"}
    assert traffic.tcp_try(tiers.web, tiers.db_ip, DB_PORT) == "silence"
    assert traffic.tcp_try(tiers.host, tiers.db_ip, 6000) == "silence"

    again = learned(agent, "--group", "app")
    assert between(yaml.safe_load(again.stdout)) == expected
    assert "a rule of the policy in force allows it already" in again.stderr
    nobody = ("policy", "learned", "--group", "nobody", "--since", "1h")
    assert agent.cli(*nobody, check=False).returncode == 3


def simulated(agent, tmp_path, text, *options):
    file = tmp_path / "new.yaml"
    file.write_text(text)
    simulate = ("policy", "simulate", "-f", str(file), "-o", "json", *options)
    done = agent.cli(*simulate, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("tiers", [("ebpf", 4)], indirect=True, ids=["ebpf-4"])
def test_a_new_policy_is_tried_out_on_what_was_recorded(agent, tiers, tmp_path):
    tiers.talk()
    wait_for(lambda: json.loads(learned(agent, "-o", "json").stdout)["rules"][2:])
    body = json.loads(learned(agent, "-o", "json").stdout)
    protect = ("--mode", "protect", "--fail-on", "denied")
    code, whole = simulated(agent, tmp_path, json.dumps(body), *protect)
    assert (code, whole["flows"]["denied"]) == (0, 0)
    assert whole["flows"]["unchanged"] >= 5

    body["rules"] = [rule for rule in body["rules"] if rule["to"] != "db"]
    text = json.dumps(body)
    code, less = simulated(agent, tmp_path, text, *protect)
    assert code == 1
    (case,) = less["examples"]
    assert (case["change"], case["source"], case["target"], case["service"]) == (
        *("denied", "app", "db", f"tcp/{DB_PORT}"),
    )
    assert simulated(agent, tmp_path, text)[1]["flows"]["denied"] == 0

    agent.client.detach(pid=tiers.app.pid)
    code, gone = simulated(agent, tmp_path, text, *protect, "--fail-on", "uncertain")
    assert code == 1
    assert {case["change"] for case in gone["examples"]} == {"uncertain"}
    assert gone["examples"][0]["why"] == "app is not attached any more"


def behind(lab, gate, db):
    """A namespace that reaches db through gate, with its own address."""
    inner, ip = lab.netns("behind"), packets.world_ip4
    lab.veth(inner, "eth0", gate, "inner")
    inner.batch(f"addr add {ip}/32 dev eth0", "route add default dev eth0")
    gate.batch(f"route add {ip}/32 dev inner")
    db.batch(f"route add {ip}/32 via {packets.pod_one_ip4}")
    for key in ("ip_forward", "conf/inner/proxy_arp"):
        gate.sysctl(f"ipv4/{key}", 1)
    return inner


def test_what_a_gateway_forwards_is_learned_and_tried_out_as_its_ends_judge_it(
    agent, lab, tmp_path
):
    """db knows the address, not who forwards it: a rule for the gateway is enough at one end."""
    _host, (gate, db) = lab.pods()
    ip = packets.pod_two_ip4
    client = behind(lab, gate, db)
    traffic.tcp_echo(db, ip, DB_PORT)
    agent.attach(gate, "gate", any_source=True, interfaces=["eth0"])
    agent.attach(db, "db")
    assert traffic.tcp_round(client, ip, DB_PORT, 1000)

    def both():
        found = json.loads(learned(agent, "-o", "json").stdout)
        return found if len(found["rules"]) == 2 else None

    body = wait_for(both) | {"modes": {"any": "protect"}}
    assert set(between(body)) == {("gate", "db"), ("db-clients", "db")}
    agent.client.apply_policy(json.dumps(body))
    assert traffic.tcp_try(client, ip, DB_PORT) == "open"
    agent.client.apply_policy('{"apiVersion": "segctl/v1"}')

    groups = {
        "gates": {"selector": {"name": "gate"}},
        "far": {"cidrs": [packets.world_net_ip4]},
    }
    rules = [
        {"id": 1, "from": "gates", "to": "any", "action": "allow"},
        {"id": 2, "from": "far", "to": "any", "action": "allow"},
    ]

    def changes(text):
        found = simulated(agent, tmp_path, text)[1]["flows"]
        return {change for change, flows in found.items() if flows}

    for count, change, seen in ((1, "denied", "silence"), (2, "unchanged", "open")):
        body = {"apiVersion": "segctl/v1", "groups": groups, "rules": rules[:count]}
        text = json.dumps(body | {"modes": {"any": "protect"}})
        wait_for(lambda text=text, change=change: changes(text) == {change})
        agent.client.apply_policy(text)
        assert traffic.tcp_try(client, ip, DB_PORT) == seen
        agent.client.apply_policy('{"apiVersion": "segctl/v1"}')

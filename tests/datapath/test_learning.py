"""Three tiers talk, somebody scans: what is learned allows the former, and nothing of the latter."""

from __future__ import annotations

import json

import pytest
import yaml

from tests import packets
from tests.fixtures import traffic
from tests.fixtures.netns import wait_for

APP, DB = packets.pod_two_ip4, packets.pod_three_ip4
APP_PORT, DB_PORT, SILENT = 8080, 5432, 8081

_SCAN = """
ip, ports = sys.argv[1], range(int(sys.argv[2]), int(sys.argv[3]))
refused = 0
for port in ports:
    try: socket.create_connection((ip, port), timeout=1).close()
    except ConnectionRefusedError: refused += 1
say(refused=refused)
"""


@pytest.fixture
def tiers(lab, agent):
    """Name: tiers. Scope: function. Depends: lab, agent. (host, web, app, db), attached in discover."""
    host, (web, app, db) = lab.pods(3)
    traffic.tcp_echo(app, APP, APP_PORT)
    traffic.udp_echo(app, APP, 53)
    traffic.tcp_echo(db, DB, DB_PORT)
    traffic.tcp_echo(db, DB, SILENT)
    for pod, name in ((web, "web-1"), (app, "app"), (db, "db")):
        agent.attach(pod, name)
    return host, web, app, db


def talk(host, web, app):
    assert traffic.tcp_round(web, APP, APP_PORT, 1000)
    assert traffic.udp_try(web, APP, 53) == "open"
    assert traffic.tcp_round(app, DB, DB_PORT, 1000)
    assert traffic.tcp_round(host, APP, APP_PORT, 1000)
    assert traffic.pings(web, APP) == 3


def learned(agent, *options):
    return agent.cli("policy", "learned", *options)


def between(document):
    return {
        (rule["from"], rule["to"]): set(rule["ports"]) for rule in document["rules"]
    }


def test_what_was_answered_is_learned_and_then_allowed_in_protect(agent, tiers):
    host, web, app, _db = tiers
    talk(host, web, app)
    scanner = traffic.Program(host, _SCAN, DB, "6000", "6030")
    assert scanner.heard() == {"refused": 30}
    assert traffic.tcp_try(web, DB, 7000) == "refused"
    still_open = traffic.tcp_talk(app, DB, SILENT)
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
    assert body["groups"]["app-clients"] == {"cidrs": [packets.gateway_ip4]}
    done = learned(agent)
    assert "not learned: 30 flows, from who tried many places" in done.stderr
    assert "web-1 → db" in done.stderr
    assert yaml.safe_load(done.stdout)["rules"] == body["rules"]

    agent.client.apply_policy(done.stdout)
    for name in ("web-1", "app", "db"):
        agent.client.set_mode(name, "protect")
    talk(host, web, app)
    assert still_open.said("again") == {"back": "again\n"}
    assert traffic.tcp_try(web, DB, DB_PORT) == "silence"
    assert traffic.tcp_try(host, DB, 6000) == "silence"

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


def test_a_new_policy_is_tried_out_on_what_was_recorded(agent, tiers, tmp_path):
    host, web, app, _db = tiers
    talk(host, web, app)
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

    agent.client.detach(pid=app.pid)
    code, gone = simulated(agent, tmp_path, text, *protect, "--fail-on", "uncertain")
    assert code == 1
    assert {case["change"] for case in gone["examples"]} == {"uncertain"}
    assert gone["examples"][0]["why"] == "app is not attached any more"

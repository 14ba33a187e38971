"""policy import --kubernetes: printed, or applied as any other policy."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from pyctl.cli.policy import import_ as policy_import
from pyctl.policy.document.parse import parse
from tests import packets

IMPORT = ("policy", "import", "--kubernetes", "-f", "-", "--node", packets.gateway_ip4)
HEAD = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n"
DENY_ALL = HEAD + "spec: {podSelector: {}}\n"
BY_NAME = HEAD + "spec: {ingress: [{ports: [{port: http}]}]}\n"
BY_SERVICE = f"""{HEAD}spec: {{policyTypes: [Egress], egress: [{{ports: [{{port: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: s}}
spec:
  clusterIP: {packets.world_ip4}
  selector: {{app: web}}
  ports: [{{port: 90, targetPort: http}}]
"""


def test_it_is_printed_without_an_agent(instance, segctl):
    done = segctl(*IMPORT, input=DENY_ALL)
    assert done.exit_code == 0
    found = parse(done.stdout)
    assert [str(net) for net in found.groups["node"].cidrs] == [
        f"{packets.gateway_ip4}/32"
    ]
    assert json.loads(segctl(*IMPORT, "-o", "json", input=DENY_ALL).stdout)["rules"]


@pytest.mark.parametrize(
    ("flags", "dry_run", "word"),
    [(["--apply"], False, "changed"), (["--apply", "--dry-run"], True, "would change")],
)
def test_it_is_applied_as_any_other(agent, segctl, flags, dry_run, word):
    done = segctl(*IMPORT, *flags, "--mode", "monitor", input=DENY_ALL)
    assert word in done.stdout
    [(method, path, body)] = agent.asked
    assert (method, path, body["dry_run"]) == ("PUT", "/policy", dry_run)
    assert parse(body["text"]).modes == {"default.p.pods": "monitor"}


def test_files_add_up_and_are_named_in_errors(agent, segctl, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(DENY_ALL, encoding="utf-8")
    bad.write_text(HEAD + "spec: {ingress: [{ports: [{protocol: tcp}]}]}\n")
    done = segctl(*IMPORT[:3], "-f", str(good), "-f", str(bad), "--apply")
    assert done.exit_code == 2
    assert f"{bad}[0].spec.ingress[0].ports[0].protocol: must be" in done.stderr
    assert not agent.asked


def test_names_behind_services_are_asked_of_the_attached_workloads(agent, segctl):
    assert "ports: [tcp/http]" in segctl(*IMPORT, input=BY_NAME).stdout
    assert not agent.asked
    [load] = segctl_workloads(agent)
    load["labels"] = {"segctl.port.http": "8080", "app": "web"}
    agent.changes = {"workloads": [load]}
    assert "ports: [tcp/90]" in segctl(*IMPORT, input=BY_SERVICE).stdout


def test_rules_without_effect_are_warned_of(instance, segctl):
    text = HEAD + "spec: {policyTypes: [Egress], ingress: [{}]}\n"
    assert "policyTypes has no Ingress" in segctl(*IMPORT, input=text).stderr


def test_a_node_that_is_no_address_is_wrong_usage(instance, segctl):
    assert segctl(*IMPORT[:-1], "node", input=DENY_ALL).exit_code == 2


def test_without_node_it_is_this_one(instance, segctl, monkeypatch):
    own = [ip_address(packets.pod_one_ip4), ip_address(packets.pod_one_ip6)]
    monkeypatch.setattr(policy_import, "_own_addresses", lambda: own)
    found = parse(segctl(*IMPORT[:-2], input=DENY_ALL).stdout)
    assert [net.network_address for net in found.groups["node"].cidrs] == own


def test_what_nobody_else_can_reach_is_no_address_of_a_node():
    assert not any(
        ip.is_loopback or ip.is_link_local for ip in policy_import._own_addresses()
    )


def segctl_workloads(agent):
    _, answer = agent.answer("GET", "/v1/workloads", None)
    agent.asked.clear()
    return answer["workloads"]

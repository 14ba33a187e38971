"""Former policies, with a real agent and real traffic."""

from __future__ import annotations

import os

import pytest

from pyctl.state.revisions import UNTOLD
from tests import packets
from tests.lab.net import traffic

IP = packets.pod_one_ip4
OPEN = (
    "apiVersion: segctl/v1\n"
    "groups: {web: {selector: {name: web}}}\n"
    "modes: {web: protect}\n"
    "rules: [{id: 1, from: any, to: web, ports: [tcp/8080], action: allow}]\n"
)
SHUT = OPEN.replace("allow", "deny") + "# closed for the night\n"


def applied(agent, path, text, *options):
    path.write_text(text)
    return agent.cli("policy", "apply", "-f", str(path), *options)


def test_going_back_opens_what_the_policy_before_opened(lab, agent, tmp_path):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    agent.attach(web, "web")
    applied(agent, tmp_path / "open", OPEN, "-m", "opening hours")
    applied(agent, tmp_path / "shut", SHUT)
    assert traffic.tcp_try(client, IP, 8080) == "silence"
    assert "opening hours" in agent.cli("policy", "log").stdout
    applied(agent, tmp_path / "shut", SHUT, "-m", "what holds already is no revision")
    assert len(agent.client.policy_revisions()["revisions"]) == 2
    assert agent.cli("policy", "show", "2").stdout == SHUT
    agent.cli("policy", "rollback", "--dry-run")
    assert traffic.tcp_try(client, IP, 8080) == "silence"
    agent.cli("policy", "rollback")
    assert traffic.tcp_try(client, IP, 8080) == "open"
    revisions = agent.client.policy_revisions()["revisions"]
    assert [one["in_force"] for one in revisions] == [False, False, True]
    assert revisions[2]["comment"] == "back to revision 1"
    assert {one["uid"] for one in revisions} == {os.geteuid()}


@pytest.mark.parametrize("broken", [b"rules: [\n", b"", b"\xff\xfe"], ids=repr)
def test_an_agent_with_a_broken_stored_policy_holds_to_the_last_good_one(
    lab, agent, broken
):
    _host, (web, client) = lab.pods()
    traffic.tcp_echo(web, IP, 8080)
    agent.attach(web, "web")
    agent.client.apply_policy(SHUT)
    agent.stop()
    (agent.instance.state_dir / "policy.yaml").write_bytes(broken)
    agent.start()
    assert traffic.tcp_try(client, IP, 8080) == "silence"
    assert agent.client.policy()["text"] == SHUT
    assert any("revision 1 holds" in told for told in agent.client.status()["warnings"])


def test_a_policy_whose_agent_was_killed_before_it_told_of_it_is_in_the_log(lab, agent):
    """Stored is the first step of applying, remembered the last."""
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    agent.client.apply_policy(OPEN)
    agent.kill()
    (agent.instance.state_dir / "policy.yaml").write_text(SHUT)
    for _again in range(2):
        agent.start()
        revisions = agent.client.policy_revisions()["revisions"]
        assert [one["in_force"] for one in revisions] == [False, True]
        assert revisions[1]["comment"] == UNTOLD
        assert agent.client.policy_revision(2)["text"] == SHUT
        agent.kill()

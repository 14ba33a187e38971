"""flows: both ends by name, counts each way, and who carried it."""

from __future__ import annotations

import json

from pyctl.cli import flows
from pyctl.cli.shared import follow
from tests import packets
from tests.unit.fake_agent import FLOW


def test_flows_show_names_where_known_and_the_share_of_the_kernel(agent, segctl):
    done = segctl("flows", "--verdict", "allow", "--workload", "web", "--limit", "5")
    assert agent.asked[0][1] == "/flows?limit=5&workload=web&verdict=allow"
    assert f"[{packets.world_ip6}]:40000" in done.stdout
    assert "web:80" in done.stdout
    assert "kernel 90.0%" in done.stdout


def test_whom_nobody_attached_is_has_the_name_that_was_asked_for():
    flow = FLOW | {"looked_up": ["db.internal", "alias"]}
    assert "web:80" in flows.row(flow)
    assert "db.internal:80" in flows.row(flow | {"destination_name": None})


def test_flows_are_printed_as_json(agent, segctl):
    assert json.loads(segctl("flows", "-o", "json").stdout)["flows"] == [FLOW]


def test_a_store_that_does_not_record_is_told(agent, segctl):
    agent.changes["recording"] = False
    assert "not recorded" in segctl("flows").stderr


def test_more_flows_than_were_looked_at_are_told(agent, segctl):
    assert segctl("flows").stderr == ""
    agent.changes["complete"] = False
    assert "more flows" in segctl("flows").stderr


def test_following_asks_for_what_came_since(agent, segctl, monkeypatch):
    rounds = iter([None, KeyboardInterrupt()])

    def pause(_):
        if stop := next(rounds):
            raise stop

    monkeypatch.setattr(follow.time, "sleep", pause)
    done = segctl("flows", "--follow", "-o", "json", "--since", "10m")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [FLOW, FLOW]
    assert "after=9" in agent.asked[1][1]


def test_folded_flows_say_how_many_they_are():
    row = flows.row({**FLOW, "flows": 3, "source_port": None})
    assert "tcp x3" in row
    assert any(str(cell).endswith(":*") for cell in row)


def test_what_both_ends_said_of_a_flow_is_in_one_line():
    """Egress verdict and ingress verdict, in this order."""
    initiator = {"verdict": "allow", "rule_id": 3, "reason": None}
    other = {"verdict": "deny", "rule_id": None, "reason": "default_deny"}
    assert flows.judged({**FLOW, "judged": [initiator, other]}) == [
        "allow/deny",
        "3/-",
        "-/default_deny",
    ]
    assert flows.judged({**FLOW, "judged": [initiator, initiator]})[2] is None


def test_a_flow_has_its_application_and_a_guess_is_shown_as_one():
    place = flows.COLUMNS.index("app")
    assert flows.row(FLOW)[place] is None
    assert flows.row({**FLOW, "app": "Redis"})[place] == "Redis"
    assert flows.row({**FLOW, "app": "Redis", "app_guessed": True})[place] == "Redis?"


def test_flows_are_asked_for_by_application_in_any_case(agent, segctl):
    segctl("flows", "--app", "postgresql")
    assert agent.asked[0][1] == "/flows?limit=50&app=PostgreSQL"
    wrong = segctl("flows", "--app", "gopher")
    assert (wrong.exit_code, "gopher" in wrong.stderr) == (2, True)


def test_a_flow_that_is_not_in_the_kernel_says_why():
    held = {**FLOW, "live": True, "kernel_bytes": 0, "look": "pending"}
    assert flows.carrier(held) == "engine, pending"
    assert flows.carrier({**FLOW, "live": True, "look": "decided"}).endswith(
        ", decided"
    )


def test_nothing_carried_what_was_denied():
    assert flows.carrier({**FLOW, "verdict": "deny"}) == "-"
    assert flows.carrier({**FLOW, "kernel_bytes": 0}) == "engine"
    assert flows.carrier({**FLOW, "kernel_bytes": 1000}) == "kernel"

"""Every end judges for itself; one that forwards for others is judged with what it forwarded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.model.workload import Mode
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.impact import verdict_changes
from pyctl.policy.evaluate.judge import Judge
from pyctl.policy.evaluate.observed import End, Observed, Side
from pyctl.policy.evaluate.simulate import Change, simulate
from tests import packets
from tests.unit.policy.makers import port, workload

NET = packets.prefix_ip4
WEB = workload("web", port(1, f"{packets.pod_one_ip4}/{NET}"))
DB = workload("db", port(2, f"{packets.pod_two_ip4}/{NET}"))
GATEWAY = replace(
    workload("gate", port(3, f"{packets.pod_three_ip4}/{NET}")), any_source=True
)
LOADS = [WEB, DB, GATEWAY]
AT_WEB, AT_DB = End(packets.pod_one_ip4, "web"), End(packets.pod_two_ip4, "db")
FAR = packets.world_ip4
OUT, IN = Direction


def forwarded(*sides: Side, source: End, target: End, passed: bool = True):
    return Observed(source, target, "tcp", 80, sides, passed, Answer.DATA, 1, 0.0)


def from_far(*, seen_by_db: bool = True, passed: bool = True):
    """What came to the gateway past its port, by a tunnel of its own, and went on to db."""
    at_gate = Side(OUT, End(FAR, "gate"), AT_DB)
    at_db = Side(IN, End(FAR), AT_DB)
    sides = (at_gate, at_db) if seen_by_db else (at_gate,)
    return forwarded(*sides, source=at_gate.source, target=AT_DB, passed=passed)


THROUGH = forwarded(
    Side(OUT, AT_WEB, AT_DB),
    Side(IN, AT_WEB, End(AT_DB.address, "gate")),
    source=AT_WEB,
    target=AT_DB,
)
"""web to db by way of the gateway, as far as the gateway."""


def policy(*rules: str, modes: str = ""):
    return parse(
        "apiVersion: segctl/v1\n"
        "groups:\n  gates: {selector: {name: gate}}\n  web: {selector: {name: web}}\n"
        f"  db: {{selector: {{name: db}}}}\n  far: {{cidrs: [{packets.world_net_ip4}]}}\n"
        f"{modes}rules:\n" + "".join(f"  - {{{one}}}\n" for one in rules)
    )


GATE_TO_DB = "id: 1, from: gates, to: db, action: allow"
FAR_TO_DB = "id: 2, from: far, to: db, action: allow"
WEB_TO_DB = "id: 3, from: web, to: db, action: allow"
WEB_TO_GATE = "id: 4, from: web, to: gates, action: allow"


@pytest.mark.parametrize(
    ("flow", "rules", "verdict", "rule"),
    [
        # The other end knows the address alone.
        (from_far(), (GATE_TO_DB,), "deny", None),
        (from_far(), (FAR_TO_DB,), "allow", 2),
        (from_far(seen_by_db=False), (GATE_TO_DB,), "deny", None),
        (from_far(seen_by_db=False), (GATE_TO_DB, FAR_TO_DB), "allow", 1),
        # Two judged it, web's and the gateway's, and that is not who has the address.
        (THROUGH, (WEB_TO_DB,), "deny", None),
        (THROUGH, (WEB_TO_DB, WEB_TO_GATE), "allow", 3),
    ],
)
def test_what_a_gateway_forwarded_is_known_at_each_end(flow, rules, verdict, rule):
    decision = Judge(policy(*rules), LOADS).decision(flow)
    assert (decision.verdict, decision.rule_id, decision.why) == (verdict, rule, "")


def test_the_mode_is_that_of_the_end_that_judges():
    """Not of the workload that has the address."""
    modes = "modes: {gates: quarantine}\n"
    rules = (WEB_TO_DB, WEB_TO_GATE)
    assert Judge(policy(*rules), LOADS).decision(THROUGH).passes
    decision = Judge(policy(*rules, modes=modes), LOADS).decision(THROUGH)
    assert (decision.verdict, decision.rule_id) == ("deny", None)


def test_impact_and_simulation_say_the_same_of_a_gateway():
    shuts = policy(GATE_TO_DB)
    (turn,) = verdict_changes(shuts, LOADS, [from_far()])
    assert (turn.source.shown, turn.opens, turn.rule_id) == ("gate", False, None)
    found = simulate([from_far()], policy(FAR_TO_DB), shuts, LOADS)
    assert found.flows == {Change.DENIED: 1}


def test_one_that_is_not_known_to_forward_has_another_address_by_now():
    loads = [DB, replace(GATEWAY, any_source=False)]
    decision = Judge(policy(FAR_TO_DB), loads).decision(from_far(seen_by_db=False))
    assert (decision.verdict, decision.why) == (None, "gate has another address by now")
    assert not verdict_changes(policy(FAR_TO_DB), loads, [from_far(passed=False)])


def test_an_end_that_never_saw_it_is_asked_too():
    """Its initiator's end denied it then; an allowed one would come there today."""
    flow = forwarded(
        Side(OUT, AT_WEB, AT_DB), source=AT_WEB, target=AT_DB, passed=False
    )
    half = policy(f"{WEB_TO_DB}, direction: egress")
    assert Judge(half, LOADS).decision(flow).verdict == "deny"
    assert Judge(half, [WEB, GATEWAY]).decision(flow).verdict == "allow"
    assert Judge(policy(WEB_TO_DB), LOADS).decision(flow).verdict == "allow"


def test_a_mode_can_be_tried_on_all():
    decision = Judge(policy(GATE_TO_DB), LOADS, Mode.MONITOR).decision(THROUGH)
    assert (decision.verdict, decision.passes) == ("violation", True)


@pytest.mark.parametrize(
    ("app", "verdict", "rule", "why"),
    [
        ("TLS", "allow", 3, ""),
        ("unknown", "deny", 3, ""),
        ("SSH", "deny", None, ""),
        (None, None, None, "its application, or what else it showed, was not recorded"),
    ],
)
def test_a_flow_is_judged_by_the_application_that_it_had(app, verdict, rule, why):
    rules = (f"{WEB_TO_DB}, apps: [TLS], app_unknown: deny", WEB_TO_GATE)
    decision = Judge(policy(*rules), LOADS).decision(replace(THROUGH, app=app))
    assert (decision.verdict, decision.rule_id, decision.why) == (verdict, rule, why)


def test_an_application_that_was_not_recorded_matters_only_where_rules_differ_by_it():
    rules = (f"{WEB_TO_DB}, apps: [TLS]", "id: 9, from: any, to: any, action: allow")
    assert Judge(policy(*rules), LOADS).decision(THROUGH).verdict == "allow"

"""What a policy is asked anew about a flow: what was seen of it counts, and what nobody saw counts for nothing."""

from __future__ import annotations

import pytest

from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import OVER, Wire, always, asks_for
from tests.unit.engine.core.test_sg_judge_http import ADMIN, API, OK, only

ALLOWS = (only("/api/*"),)
DENIES = (only("/admin*", action=Action.DENY), always())


def lost(wire: Wire) -> None:
    """A copy of the client's does not come, so nobody knows where the next request begins."""
    wire.connection.segment(0, "PA", API)
    wire.says(0, API)


def none(wire: Wire) -> None:
    wire.says(0, b"\0\1")


@pytest.mark.parametrize("missed", [lost, none])
@pytest.mark.parametrize("rules", [ALLOWS, DENIES], ids=["allow", "deny"])
@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_requests_that_nobody_read_satisfy_no_rule_once_they_are_enforced(
    node, net, mode, rules, missed
):
    """What held of the requests before had let all that followed pass, by the kernel too."""
    node.judge_by(*rules, mode=mode)
    wire = Wire(node.core, net).opens()
    wire.says(0, API)
    wire.says(1, OK)
    missed(wire)
    assert wire.app == ("HTTP", 2)
    assert wire.session.look == OVER
    wire.across[0] = b""
    node.judge_by(*rules, mode=Mode.PROTECT)
    wire.says(0, ADMIN)
    assert wire.across[0] == b""
    assert wire.resets == 2


def test_nor_once_a_staged_rule_becomes_one(node, net):
    staged = only("/admin*", action=Action.DENY, staged=True)
    node.judge_by(staged, always())
    wire = Wire(node.core, net).opens()
    wire.says(0, API)
    lost(wire)
    wire.across[0] = b""
    node.judge_by(*DENIES)
    wire.says(0, ADMIN)
    assert wire.across[0] == b""


@pytest.mark.parametrize("rule", [asks_for("HTTP"), always()])
def test_they_are_http_all_the_same(node, net, rule):
    node.judge_by(*ALLOWS, mode=Mode.DISCOVER)
    wire = Wire(node.core, net).opens()
    wire.says(0, API)
    lost(wire)
    node.judge_by(rule, mode=Mode.PROTECT)
    wire.across[0] = b""
    wire.says(0, ADMIN)
    assert wire.across[0] == ADMIN
    assert wire.app == ("HTTP", 2)


def test_a_flow_that_a_request_ended_is_not_taken_up_by_the_rule_of_the_ones_before(
    node, net
):
    node.judge_by(*ALLOWS)
    wire = Wire(node.core, net).opens()
    wire.says(0, API)
    wire.says(1, OK)
    wire.says(0, ADMIN)
    assert wire.across[0] == API
    node.judge_by(*ALLOWS)
    wire.connection.seq[0] -= len(ADMIN)
    wire.says(0, ADMIN)
    wire.says(0, ADMIN)
    assert wire.across[0] == API


def test_requests_that_were_read_go_on_being_judged(node, net):
    node.judge_by(*ALLOWS, mode=Mode.DISCOVER)
    wire = Wire(node.core, net).opens()
    wire.says(0, API)
    node.judge_by(*ALLOWS, mode=Mode.PROTECT)
    wire.says(0, API)
    assert wire.across[0] == API * 2
    wire.says(0, ADMIN)
    assert wire.across[0] == API * 2

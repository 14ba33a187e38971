"""Open flows under a new policy, as the API shows them."""

from __future__ import annotations

from pyctl.api.v1.impact import applied_view, impact_view
from pyctl.policy.evaluate.impact import Impact, VerdictChange
from pyctl.policy.evaluate.observed import End
from pyctl.state.requests import PolicyResult
from tests import packets


def test_what_is_denied_comes_first_then_what_is_most():
    verdict_changes = {
        VerdictChange(
            End(packets.world_ip4), End(packets.pod_one_ip4, "web"), what, opens, 1
        ): n
        for n, (what, opens) in enumerate(
            [("tcp/1", False), ("tcp/2", True), ("tcp/3", False)], 1
        )
    }
    shown = impact_view(Impact(9, verdict_changes=verdict_changes))
    assert (shown.newly_denied, shown.newly_allowed) == (4, 2)
    assert [one.service for one in shown.examples] == ["tcp/3", "tcp/1", "tcp/2"]
    assert shown.examples[0].destination == "web"


def test_the_answer_to_an_apply_is_whole():
    result = PolicyResult(["rule 1 is new"], [], 1, 2, 3, Impact(5), 0.5)
    shown = applied_view(result)
    assert (shown.ports, shown.open_flows.looked_at) == (3, 5)

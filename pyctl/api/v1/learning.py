"""Routes of learned rules, and of trying a policy on recorded flows. In: an Agent. Out: schema models. I/O: the agent's."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query

from pyctl.agent.agent import Agent
from pyctl.api.schema import learning as schema_learning
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.judge import Decision
from pyctl.policy.evaluate.simulate import Case, Change, Simulation, simulate
from pyctl.policy.learn.learn_filter import MEANING, LeftOut
from pyctl.policy.learn.text import as_yaml, document
from pyctl.telemetry.history.learning import learned, recorded

_EXAMPLES = 3


def left_out_views(out: LeftOut) -> list[schema_learning.LeftOut]:
    """Return the API's view of flows left out, the most frequent reason first."""
    return [
        schema_learning.LeftOut(
            why=why,
            meaning=MEANING[why],
            flows=flows,
            examples=[
                f"{initiator} → {whom}"
                for (initiator, whom), _ in out.who[why].most_common(_EXAMPLES)
            ],
        )
        for why, flows in out.flows.most_common()
    ]


def case_views(
    found: Simulation, cases: Iterable[tuple[Case, int]]
) -> list[schema_learning.Case]:
    """Return the API's view of cases with their number of flows."""
    return [
        schema_learning.Case(
            change=case.change.value,
            source=case.source,
            target=case.target,
            service=case.service,
            flows=flows,
            last=found.last[case],
            before=_decision(case.before),
            after=_decision(case.after),
            why=case.before.why or case.after.why or None,
        )
        for case, flows in cases
    ]


def _decision(decision: Decision) -> schema_learning.Decision:
    return schema_learning.Decision.model_validate(
        {
            "verdict": decision.verdict,
            "rule_id": decision.rule_id,
            "staged_rule_id": decision.staged_id,
        }
    )


def router(agent: Agent) -> APIRouter:
    """Return the routes of GET /policy/learned and POST /policy/simulate."""
    made = APIRouter(tags=["policy"])

    @made.get("/policy/learned")
    def get(
        since: float | None = None,
        group: str | None = None,
        cidr_prefix: Annotated[int | None, Query(ge=1, le=32)] = None,
        apps: bool = False,
    ) -> schema_learning.Learned:
        """Return the policy with rules that allow what was seen and answered."""
        flows, complete = recorded(agent.reader, since)
        view = agent.view
        found = learned(
            view.policy, view.workloads(), flows, group, cidr_prefix, apps=apps
        )
        body = document(found, view.policy.text)
        head = (
            f"Learned: {len(found.rules)} rules from {found.flows} flows, with ids from "
            "10000 on, behind the rules of the policy in force.\nReview, then: "
            "segctl policy apply -f FILE"
        )
        return schema_learning.Learned(
            text=as_yaml(body, head),
            document=body,
            rules=len(found.rules),
            flows=found.flows,
            left_out=left_out_views(found.left_out),
            recording=agent.recording().recording,
            complete=complete,
        )

    @made.post("/policy/simulate")
    def try_out(request: schema_learning.SimulateRequest) -> schema_learning.Simulated:
        """Return what the policy makes of recorded flows; nothing is applied."""
        started = time.monotonic()
        policy = parse(request.text)
        flows, complete = recorded(agent.reader, request.since)
        view = agent.view
        found = simulate(
            flows, view.policy, policy, view.workloads(), mode=request.mode
        )
        return schema_learning.Simulated(
            flows={change.value: found.flows[change] for change in Change},
            monitored=found.monitored,
            examples=case_views(found, found.examples(request.examples)),
            staged=found.staged,
            staged_examples=case_views(found, found.staged_examples(request.examples)),
            warnings=list(policy.warnings),
            recording=agent.recording().recording,
            complete=complete,
            elapsed_ms=round(1000 * (time.monotonic() - started), 1),
        )

    return made

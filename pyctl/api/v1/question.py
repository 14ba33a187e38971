"""The route that asks a policy, and the answer as the API shows it.

In: an Agent. Out: schema models. I/O: none of its own.
"""

from __future__ import annotations

from fastapi import APIRouter

from pyctl.agent.agent import Agent
from pyctl.api.schema.identity import SharedAddress
from pyctl.api.schema.question import (
    AnswerByApp,
    AskedEnd,
    AskedRule,
    PolicyAnswer,
    PolicyQuestion,
)
from pyctl.policy.compile.diff import rule_text
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.explain import Explanation
from pyctl.policy.evaluate.facts import Facts
from pyctl.policy.evaluate.question import Answer, Asked, ask


def router(agent: Agent) -> APIRouter:
    """Return the routes of POST /policy/test."""
    made = APIRouter(tags=["policy"])

    @made.post("/policy/test")
    def test(request: PolicyQuestion) -> PolicyAnswer:
        """Return what becomes of a new connection, which rule decides, and why none before it does."""
        view = agent.view
        policy = view.policy if request.text is None else parse(request.text)
        loads = view.workloads()
        facts = Facts(
            request.sni,
            None if request.alpn is None else tuple(request.alpn),
            request.tls_version,
            request.method,
            request.host,
            request.path,
        )
        what = request.source, request.target, request.port, request.app
        return answer_view(ask(policy, loads, *what, facts, request.names))

    return made


def answer_view(answer: Answer) -> PolicyAnswer:
    """Return the API's view of the answer."""
    return PolicyAnswer(
        source=str(answer.source.address),
        target=str(answer.target.address),
        opens=answer.opens,
        shared=[
            SharedAddress(address=str(ip), workloads=list(names))
            for ip, names in answer.shared
        ],
        ends=[_end(one) for one in answer.asked],
        by_app=[
            AnswerByApp(
                apps=list(one.apps),
                opens=one.opens,
                rules=list(one.rules),
                reasons=list(one.reasons),
            )
            for one in answer.by_app
        ],
    )


def _end(asked: Asked) -> AskedEnd:
    staged, rule = asked.explanation.staged, asked.explanation.rule
    waits = asked.explanation.is_open and not asked.explanation.needs_app
    return AskedEnd(
        direction=asked.direction,
        workload=asked.workload.name,
        mode=asked.mode,
        says=asked.says,
        rules=_rules(asked.explanation),
        passes=asked.judgement.passes,
        verdict=asked.judgement.verdict,
        reason=asked.judgement.reason,
        reached=asked.reached,
        rejects=asked.rejects,
        staged=None if staged is None else staged.id,
        needs_app=asked.explanation.needs_app,
        needs_tls=waits and rule is not None and rule.tls is not None,
        needs_http=waits and rule is not None and rule.http is not None,
    )


def _rules(why: Explanation) -> list[AskedRule]:
    rules = [
        AskedRule(id=rule.id, text=rule_text(rule), why_not=not_by)
        for rule, not_by in why.passed_over
    ]
    if why.rule is not None:
        text = rule_text(why.rule)
        rules.append(AskedRule(id=why.rule.id, text=text, why_not=None))
    return rules

"""Quarantine does not wait for the splice of another workload, and never meets a half-known one."""

from __future__ import annotations

import threading

from pyctl.errors import NotFoundError
from pyctl.model.workload import Mode
from tests.lab.pace import wait_for
from tests.unit.agent.played import OLD, running
from tests.unit.policy.makers import port, workload

WEB, DB = workload("web", port(1)), workload("db", port(2))


def test_a_mode_is_changed_in_the_midst_of_anothers_splice_but_not_of_its_own(
    monkeypatch, tmp_path
):
    """Nor is that of a workload that nobody knows yet: perhaps it is the one that is being attached."""
    with running(monkeypatch, tmp_path) as node:
        node.attach(WEB, DB)
        node.agent.apply_policy(OLD)
        cuts_in(node.agent)


def cuts_in(agent) -> None:
    context = agent.context
    loop, modes, refused = agent._loop, [], []

    def force(name: str) -> None:
        try:
            agent.set_mode(name, Mode.QUARANTINE)
        except NotFoundError as error:
            refused.append(error.tried)

    askers = [
        threading.Thread(target=force, args=(name,)) for name in ("web", "db", "new")
    ]

    def splice() -> None:
        for asker in askers:
            asker.start()
        wait_for(lambda: len(loop._requests) == len(askers))
        with context.splicing((DB.id,)):
            context.give_way()
        modes.extend(
            (one.name, context.mode_of(one).mode) for one in context.registry.all()
        )
        assert refused == []

    loop.do(splice)
    for asker in askers:
        asker.join(10)
    quarantined = [name for name, mode in modes if mode is Mode.QUARANTINE]
    assert quarantined == ["web"]
    modes = [context.mode_of(one).mode for one in context.registry.all()]
    assert modes == [Mode.QUARANTINE] * 2
    assert len(refused) == 1

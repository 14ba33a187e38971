"""web → app → db in real containers: what a platform engineer does with segctl, from end to end."""

from __future__ import annotations

import json

import pytest

from tests.lab.containers.runtimes import Runtime
from tests.lab.containers.tiers import (
    DB_PORT,
    DENIALS,
    EXPECTED,
    LEARNED,
    MAY_READ,
    PROTECT,
    TIERS,
    TRY_OUT,
    Tiers,
    agent_config,
    between,
    denials,
    lacking,
    without_db,
)
from tests.lab.pace import wait_for
from tests.lab.segctl.agent import AgentProcess


@pytest.fixture
def tiers(runtime: Runtime, tmp_path) -> Tiers:
    """Name: tiers. Scope: function. Depends: runtime. The demo's containers, all answering."""
    if lack := lacking():
        pytest.skip(f"no three tiers here: {lack}")
    made = Tiers(runtime, tmp_path)
    made.start()
    return made


@pytest.fixture
def guarded(runtime, tiers, agent_with, tmp_path) -> AgentProcess:
    """Name: guarded. Scope: function. Depends: tiers, agent_with. Attached by their labels."""
    agent = agent_with("--config", str(agent_config(tmp_path, runtime.url)))

    wait_for(lambda: set(agent.names()) == set(TIERS), 30)
    return agent


def denied(agent: AgentProcess, name: str) -> set[tuple[str, str]]:
    return denials(json.loads(agent.cli(*DENIALS, name, "-o", "json").stdout))


def works(tiers: Tiers, name: str, argv: tuple[str, ...]) -> bool:
    return tiers.exec(name, *argv).returncode == 0


@pytest.mark.parametrize("runtime", ["docker"], indirect=True)
def test_three_tiers_are_learned_enforced_and_broken_into_in_vain(
    tiers, guarded, tmp_path
):
    """One connection of app to db is there before segctl comes, and when it has gone."""
    served = tiers.orders()
    assert {**served, **EXPECTED} == served
    for _ in range(4):
        assert tiers.orders() == served

    def learned() -> str:
        text = guarded.cli("policy", "learned").stdout
        return text if between(text) == LEARNED else ""

    policy = tmp_path / "shop.yaml"
    policy.write_text(wait_for(learned, 10) + PROTECT)
    guarded.cli(*TRY_OUT, str(policy))
    applied = guarded.cli("policy", "apply", "-f", str(policy)).stdout
    assert ", 0 are denied that passed" in applied
    assert tiers.orders() == served

    assert not works(tiers, "web", tiers.steal)
    assert not works(tiers, "app", tiers.leak)
    past_app, out = tiers.denial("db", DB_PORT), tiers.denial("stranger", 80)
    wait_for(lambda: denied(guarded, "web") == {past_app}, 10)
    wait_for(lambda: denied(guarded, "app") == {out}, 10)
    guarded.cli(*MAY_READ, "--expect", "deny")
    assert tiers.orders() == served

    stricter = tmp_path / "strict.yaml"
    stricter.write_text(without_db(policy.read_text()))
    done = guarded.cli(*TRY_OUT, str(stricter), "-o", "json", check=False)
    assert done.returncode == 1
    (case,) = json.loads(done.stdout)["examples"]
    assert (case["change"], case["source"], case["target"]) == ("denied", "app", "db")

    guarded.cli("mode", "app", "quarantine")
    assert tiers.orders() == {}
    guarded.cli("mode", "app", "auto")
    assert tiers.orders() == served

    guarded.cli("detach", "--all")
    assert tiers.orders() == served
    assert works(tiers, "web", tiers.steal)
    assert works(tiers, "app", tiers.leak)

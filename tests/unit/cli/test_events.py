"""events: who was denied what, without letting a name steer the terminal."""

from __future__ import annotations

from tests import packets


def test_events_show_the_flow_and_the_reason(agent, segctl):
    done = segctl("events", "--limit", "7")
    assert agent.asked[0][1] == "/events?limit=7"
    assert f"ingress tcp {packets.world_ip4}:40000" in done.stdout
    assert "default_deny" in done.stdout
    assert "denied�[31m" in done.stdout


def test_lost_events_are_told(agent, segctl):
    assert "2 events" in segctl("events").stderr

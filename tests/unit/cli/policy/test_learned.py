"""policy learned: the document alone on stdout, what is not in it on stderr."""

from __future__ import annotations

import json

from tests.unit.fake_agent import LEARNED


def test_the_document_goes_to_stdout_and_what_was_left_out_to_stderr(agent, segctl):
    done = segctl("policy", "learned", "--group", "web", "--cidr-prefix", "24")
    assert done.stdout == LEARNED["text"]
    assert done.stderr == "not learned: 30 flows, from a scan (client → web�)\n"
    assert agent.asked[0][1] == "/policy/learned?group=web&cidr_prefix=24"


def test_applications_are_proposed_where_asked_for(agent, segctl):
    segctl("policy", "learned", "--apps")
    assert agent.asked[0][1] == "/policy/learned?apps=True"


def test_json_is_the_same_document(agent, segctl):
    done = segctl("policy", "learned", "-o", "json")
    assert json.loads(done.stdout) == LEARNED["document"]
    assert agent.asked[0][1] == "/policy/learned"


def test_that_nothing_is_recorded_is_said(agent, segctl):
    agent.changes["recording"] = False
    assert "not recorded" in segctl("policy", "learned").stderr

"""Nothing is learned from scans, from silence, and from what is decided already."""

from __future__ import annotations

import pytest

from pyctl.model.flow import Answer
from pyctl.policy.document.parse import parse
from pyctl.policy.evaluate.replay import Replay
from pyctl.policy.learn.learn_filter import MEANING, SCAN, LeftOut, Why, learn_filter
from tests import packets
from tests.unit.policy.flows import LOADS, WORLD, seen

POLICY = parse("""
apiVersion: segctl/v1
groups: {db: {selector: {name: db}}, app: {selector: {name: app}}}
rules:
  - {id: 1, from: app, to: db, ports: [tcp/5432], action: allow}
  - {id: 2, from: any, to: db, ports: [tcp/5432], action: deny}
  - {id: 3, from: any, to: db, ports: [tcp/80], action: reject}
  - {id: 4, from: any, to: app, ports: [tcp/981], action: deny, stage: true}
  - {id: 5, from: any, to: app, ports: [tcp/981], action: allow}
  - {id: 6, from: any, to: app, ports: [tcp/982], action: allow, stage: true}
  - {id: 7, from: any, to: app, ports: [tcp/983], action: reject, stage: true}
""")
NO, OPEN = Answer.NONE, Answer.OPEN


def sifted(*flows):
    out = LeftOut()
    return learn_filter(flows, Replay(POLICY, LOADS), out), out


@pytest.mark.parametrize(
    ("flow", "why"),
    [
        (seen("web-1", "app", answer=NO), Why.UNANSWERED),
        (seen("app", "db", 5432), Why.COVERED),
        (seen("web-1", "db", 5432), Why.DENIED),
        (seen("web-1", "db", 80), Why.DENIED),
        (seen("web-1", "app", 981), Why.COVERED),
        (seen("web-1", "app", None), Why.FOLDED),
        (seen("web-1", "app", 0), Why.PROTOCOL),
        (seen("web-1", "app", 0, protocol="47"), Why.PROTOCOL),
    ],
)
def test_each_kind_is_counted_with_who_did_it(flow, why):
    kept, out = sifted(flow)
    assert kept == []
    assert out.flows == {why: 1}
    assert list(out.who[why]) == [(flow.source.name, flow.target.name)]


@pytest.mark.parametrize("answer", [Answer.OPEN, Answer.DATA])
def test_what_was_answered_is_kept(answer):
    flow = seen("web-1", "app", answer=answer)
    assert sifted(flow)[0] == [flow]


def scan(count, who=WORLD):
    return [seen(who, "app", 1000 + n, answer=NO) for n in range(count)]


@pytest.mark.parametrize("port", [982, 983])
def test_what_only_a_staged_rule_speaks_of_is_left_to_the_mode_and_so_kept(port):
    flow = seen("web-1", "app", port)
    assert sifted(flow)[0] == [flow]


def test_who_tries_many_shut_doors_scans_and_an_open_one_is_part_of_it():
    opened, spoke = seen(WORLD, "app", 80, answer=OPEN), seen(WORLD, "app", 81)
    other = seen(packets.gateway_ip4, "app", 80, answer=OPEN)
    kept, out = sifted(*scan(SCAN), opened, spoke, other)
    assert kept == [spoke, other]
    assert out.flows == {Why.SCAN: SCAN + 1}


def test_a_few_shut_doors_are_no_scan():
    opened = seen(WORLD, "app", 80, answer=OPEN)
    kept, out = sifted(*scan(SCAN - 1), *scan(SCAN - 1), opened)
    assert kept == [opened]
    assert set(out.flows) == {Why.UNANSWERED}


def test_a_folded_flood_counts_as_what_it_stands_for():
    _kept, out = sifted(seen(WORLD, "app", None, answer=NO, flows=SCAN))
    assert out.flows == {Why.SCAN: SCAN}


def test_every_reason_has_its_words():
    assert set(MEANING) == set(Why)

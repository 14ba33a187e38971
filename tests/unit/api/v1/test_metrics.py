"""Metrics say whether the engine lives, and its numbers while it does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from pyctl.api.v1 import metrics
from pyctl.errors import SegctlError
from pyctl.model.apps import NUMBERS
from pyctl.policy.document.identity import rule_key
from pyctl.policy.document.parse import parse
from pyctl.telemetry.history.hits import DEFAULT, Hits

STATS = dict.fromkeys(metrics.ENGINE_COUNTERS, 7) | {
    "ring_drops": [1, 2, 3],
    "events_lost_drops": 11,
    "events_lost_ends": 12,
    "share_gap_ns": 50_000,
    "sessions": 5,
    "flows_entries": 20,
    "flows_capacity": 1000,
    "flows_evicted": 1,
    "flows_offload_misses": 3,
    "flows_offload_missed_bytes": 300,
}


def samples(stats, *, carries=True):
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in metrics.engine_metrics(stats, carries=carries)
        for sample in family.samples
    }


def test_a_living_engine_is_up_with_its_numbers():
    found = samples(STATS)
    assert found["segctl_engine_up"] == 1
    assert found["segctl_engine_ring_drops_total"] == 6
    assert found["segctl_engine_flows_refused_total"] == 7
    assert found["segctl_engine_events_lost_totaldrops"] == 11
    assert found["segctl_engine_events_lost_totalends"] == 12
    assert found["segctl_engine_pace_seconds"] == 5e-5


def test_the_flow_map_is_told_with_its_room_and_what_it_could_not_do():
    found = samples(STATS)
    assert found["segctl_flow_map_entries"] == 20
    assert found["segctl_flow_map_capacity"] == 1000
    assert found["segctl_flow_map_insert_failures_total"] == 7
    assert found["segctl_flow_map_evictions_total"] == 1
    assert found["segctl_flow_map_offload_misses_total"] == 3


def test_an_engine_that_nothing_can_reach_is_not_up():
    assert samples(STATS, carries=False)["segctl_engine_up"] == 0


def test_a_dead_engine_is_down_and_nothing_else():
    assert samples({}) == {"segctl_engine_up": 0}


RULES = parse("""
apiVersion: segctl/v1
rules:
  - {id: 7, from: any, to: any, ports: [tcp/80], action: reject, stage: true}
  - {id: 8, from: any, to: any, ports: [tcp/81], action: deny, enabled: false}
  - {id: 9, from: any, to: any, action: allow}
""").rules


def rule_samples(found):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.rule_metrics(RULES, found)
        for sample in family.samples
    }


def test_rules_in_force_have_their_hits_and_their_last_use():
    found = {
        rule_key(RULES[0]): Hits(3, 9.0, 5.0),
        rule_key(RULES[1]): Hits(4, 9.0, 5.0),
        rule_key(RULES[2]): Hits(0, None, 5.0),
        DEFAULT: Hits(1, 8.0, 5.0),
        99: Hits(7, 7.0, 7.0),
    }
    last = "segctl_rule_last_used_timestamp_seconds"
    assert rule_samples(found) == {
        ("segctl_rule_hits_total", "7", "reject", "true"): 3,
        ("segctl_rule_hits_total", "9", "allow", "false"): 0,
        ("segctl_rule_hits_total", "default", "mode", "false"): 1,
        (last, "7", "reject", "true"): 9.0,
        (last, "default", "mode", "false"): 8.0,
    }


def test_hits_that_cannot_be_read_are_left_out_and_no_zeros():
    assert rule_samples({}) == {}


def test_of_a_huge_policy_no_rule_is_a_series(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_RULES", 2)
    assert rule_samples({DEFAULT: Hits(1, 8.0, 5.0)}) == {}


def test_an_address_that_is_taken_is_told(monkeypatch):
    def refuse(*_):
        raise OSError(98, "in use")

    monkeypatch.setattr(metrics, "_registry", lambda _: CollectorRegistry())
    monkeypatch.setattr(metrics, "ScrapeServer", refuse)
    with pytest.raises(SegctlError, match="in use"):
        metrics.serve(None, "localhost", 1)


def test_one_engine_is_told_from_the_others_that_share_the_packets():
    rows = [{"state": "running", "sessions": 4}, {"state": "down", "sessions": 0}]
    found = {
        (sample.name, sample.labels["worker"]): sample.value
        for family in metrics.worker_metrics(rows)
        for sample in family.samples
    }
    assert found == {
        ("segctl_engine_worker_up", "0"): 1,
        ("segctl_engine_worker_up", "1"): 0,
        ("segctl_engine_worker_sessions", "0"): 4,
        ("segctl_engine_worker_sessions", "1"): 0,
    }


def app_samples(ended):
    return {
        (sample.labels["app"], sample.labels["guess"]): sample.value
        for family in metrics.app_metrics(ended)
        for sample in family.samples
    }


def test_ended_flows_are_counted_by_application_and_the_labels_are_a_list_of_ours():
    ended = {
        (None, False): 5,
        ("Redis", False): 3,
        ("Redis", True): 2,
        ("62", False): 9,
    }
    found = app_samples(ended)
    assert found["none", "false"] == 5
    assert (found["Redis", "false"], found["Redis", "true"]) == (3, 2)
    assert {app for app, _ in found} == {"none", "unknown", *NUMBERS}
    assert found.keys() == app_samples({}).keys()


def test_dns_answers_are_counted_while_an_engine_answers():
    def told(counts):
        return {
            sample.name: sample.value
            for family in metrics.name_metrics(counts)
            for sample in family.samples
        }

    counts = dict.fromkeys(metrics.NAME_COUNTERS, 2) | {"learnt": 5}
    assert told(counts)["segctl_dns_learnt_total"] == 5
    assert told(counts)["segctl_dns_no_question_total"] == 2
    assert told({}) == {}


def test_threats_are_counted_by_what_is_attached():
    counted = {
        ("web", "land", True): 3,
        ("web", "land", False): 2,
        ("gone", "land", True): 5,
        (None, "land", True): 7,
    }
    view = SimpleNamespace(workloads=lambda: [SimpleNamespace(name="web")])
    (found,) = metrics.threat_metrics(view, counted)
    assert {tuple(one.labels.values()): one.value for one in found.samples} == {
        ("web", "land", "true"): 3,
        ("web", "land", "false"): 2,
    }


def test_hits_of_sensors_are_counted_by_what_is_attached():
    counted = {
        ("web", "data", "order", True): 3,
        ("web", "data", "order", False): 2,
        ("gone", "data", "order", True): 5,
    }
    view = SimpleNamespace(workloads=lambda: [SimpleNamespace(name="web")])
    (found,) = metrics.sensor_metrics(view, counted)
    assert {tuple(one.labels.values()): one.value for one in found.samples} == {
        ("web", "data", "order", "true"): 3,
        ("web", "data", "order", "false"): 2,
    }

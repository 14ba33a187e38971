"""Metrics say whether the engine lives, and its numbers while it does."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pyctl.api import metrics
from pyctl.errors import SegctlError

STATS = dict.fromkeys(metrics.ENGINE_COUNTERS, 7) | {
    "ring_drops": [1, 2, 3],
    "sessions": 5,
    "flows_entries": 20,
    "flows_capacity": 1000,
    "flows_evicted": 1,
    "flows_late_packets": 3,
    "flows_late_bytes": 300,
}


def samples(stats):
    return {
        sample.name: sample.value
        for family in metrics.engine_metrics(stats)
        for sample in family.samples
    }


def test_a_living_engine_is_up_with_its_numbers():
    found = samples(STATS)
    assert found["segctl_engine_up"] == 1
    assert found["segctl_engine_ring_drops_total"] == 6
    assert found["segctl_engine_flows_refused_total"] == 7


def test_the_flow_map_is_told_with_its_room_and_what_it_could_not_do():
    found = samples(STATS)
    assert found["segctl_flow_map_entries"] == 20
    assert found["segctl_flow_map_capacity"] == 1000
    assert found["segctl_flow_map_insert_failures_total"] == 7
    assert found["segctl_flow_map_evictions_total"] == 1
    assert found["segctl_flow_map_late_packets_total"] == 3


def test_a_dead_engine_is_down_and_nothing_else():
    assert samples({}) == {"segctl_engine_up": 0}


def test_an_address_that_is_taken_is_told(monkeypatch):
    def refuse(*_):
        raise OSError(98, "in use")

    monkeypatch.setattr(metrics, "_registry", lambda _: CollectorRegistry())
    monkeypatch.setattr(metrics, "start_http_server", refuse)
    with pytest.raises(SegctlError, match="in use"):
        metrics.serve(None, "localhost", 1)

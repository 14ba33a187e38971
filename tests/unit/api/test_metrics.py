"""Metrics say whether the engine lives, and its numbers while it does."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pyctl.api import metrics
from pyctl.errors import SegctlError

STATS = dict.fromkeys(metrics.ENGINE_COUNTERS, 7) | {
    "ring_drops": [1, 2, 3],
    "sessions": 5,
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


def test_a_dead_engine_is_down_and_nothing_else():
    assert samples({}) == {"segctl_engine_up": 0}


def test_an_address_that_is_taken_is_told(monkeypatch):
    def refuse(*_):
        raise OSError(98, "in use")

    monkeypatch.setattr(metrics, "_registry", lambda _: CollectorRegistry())
    monkeypatch.setattr(metrics, "start_http_server", refuse)
    with pytest.raises(SegctlError, match="in use"):
        metrics.serve(None, "localhost", 1)

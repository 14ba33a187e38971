"""Ports know their bridge before they are steered, and what changed is said."""

from __future__ import annotations

import pytest

from pyctl.controller import segments
from pyctl.errors import NotFoundError
from pyctl.intercept.survey.segments import Found
from pyctl.model.workload import Segment
from tests import packets
from tests.unit.policy.makers import port, workload

CLOSED = Segment(frozenset({packets.mac(9)}), closed=True)
OPEN = Segment(frozenset({packets.mac(9)}), closed=False)
GROWN = Segment(frozenset({packets.mac(9), packets.mac(8)}), closed=True)


@pytest.fixture
def placed(host):
    host.registry.put(workload("web", port(1), port(2)))
    return host


def at(host) -> list[tuple[int, bool]]:
    return [(one.segment, one.closed) for one in host.registry.by_id["web"].ports]


def test_ports_and_drivers_learn_of_the_bridges(placed):
    assert segments.take(placed.context, Found({1: 7}, {7: CLOSED}))
    assert at(placed) == [(7, True), (0, False)]
    assert placed.context.steering.segments == {7: CLOSED}
    assert placed.holds()


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        (Found({1: 7}, {7: CLOSED}), False),
        (Found({1: 7}, {7: OPEN}), True),
        (Found({1: 7}, {7: GROWN}), True),
        (Found({2: 7}, {7: CLOSED}), True),
        (Found(), True),
    ],
    ids=["the same", "opened", "another MAC", "moved", "gone"],
)
def test_only_what_is_new_is_a_change(placed, now, changed):
    segments.take(placed.context, Found({1: 7}, {7: CLOSED}))
    assert segments.take(placed.context, now) is changed
    assert placed.context.steering.segments == now.segments
    segment = now.segments.get(7)
    assert at(placed) == [
        (7, segment.closed) if segment and number in now.by_port else (0, False)
        for number in (1, 2)
    ]


def test_all_ports_are_looked_for(placed, monkeypatch):
    placed.registry.put(workload("app", port(3)))
    asked = []

    def read(_instance, ports, _watch) -> Found:
        asked.extend(one.port_id for one in ports)
        return Found({1: 7}, {7: CLOSED})

    monkeypatch.setattr(segments, "read_segments", read)
    segments.know_segments(placed.context)
    assert sorted(asked) == [1, 2, 3]
    assert at(placed)[0] == (7, True)


def test_without_the_enforcer_nothing_is_forgotten(placed, monkeypatch):
    segments.take(placed.context, Found({1: 7}, {7: CLOSED}))

    def read(*_):
        raise NotFoundError("no enforcer")

    monkeypatch.setattr(segments, "read_segments", read)
    with pytest.raises(NotFoundError):
        segments.know_segments(placed.context)
    assert at(placed)[0] == (7, True)

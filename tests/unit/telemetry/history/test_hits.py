"""Sums of hits take every count once, however often and in whatever order it is told."""

from __future__ import annotations

import sqlite3

import pytest

from pyctl.telemetry.history import hits
from pyctl.telemetry.history.hits import Count, Hits


@pytest.fixture
def db():
    with sqlite3.connect(":memory:") as made:
        made.executescript(hits.TABLE + hits.BY_WORKER)
        yield made
    made.close()


def sums(db) -> dict[int, int]:
    return {key: found.hits for key, found in hits.read(db).items()}


def test_a_count_told_again_adds_nothing_and_a_later_one_the_difference(db):
    for number in (3, 3, 5):
        hits.add(db, [Count(7, 1, number, 100.0)], 50.0)
    assert hits.read(db) == {7: Hits(5, 100.0, 50.0)}


def test_an_engine_that_counts_anew_is_added_to_what_was_counted_before(db):
    hits.add(db, [Count(7, 1, 5, 100.0)], 0.0)
    hits.add(db, [Count(7, 2, 2, 90.0)], 0.0)
    assert hits.read(db)[7] == Hits(7, 100.0, 0.0)
    # Likewise one that has forgotten a rule within its epoch.
    hits.add(db, [Count(7, 2, 1, 110.0)], 0.0)
    assert sums(db) == {7: 8}


def test_a_rule_is_counted_from_when_it_was_made_known(db):
    hits.add(db, [Count(7)], 10.0)
    assert hits.read(db) == {7: Hits(0, None, 10.0)}
    hits.add(db, [Count(7, 1, 2, 30.0)], 20.0)
    hits.add(db, [Count(7)], 40.0)
    assert hits.read(db) == {7: Hits(2, 30.0, 10.0)}
    hits.add(db, [Count(7, 1, 3, 50.0)], 60.0)
    assert sums(db) == {7: 3}


def test_a_rule_that_was_used_before_its_sum_was_made_is_counted_since_then(db):
    """The engine may have counted on while no agent ran."""
    hits.add(db, [Count(7, 1, 2, 30.0)], 40.0)
    assert hits.read(db) == {7: Hits(2, 30.0, 30.0)}


def test_beyond_the_bound_those_unused_for_longest_go(db, monkeypatch):
    monkeypatch.setattr(hits, "MOST", 2)
    hits.add(db, [Count(1, 1, 1, 10.0), Count(2, 1, 1, 30.0)], 5.0)
    hits.add(db, [Count(3)], 20.0)
    hits.prune(db)
    assert sums(db) == {2: 1, 3: 0}


def test_engines_that_share_the_packets_are_counted_apart_and_read_as_one(db):
    for first, second in ((3, 1), (3, 2), (5, 2)):
        counts = [Count(7, 1, first, 100.0), Count(7, 2, second, 90.0, worker=1)]
        hits.add(db, counts, 50.0)
    assert hits.read(db) == {7: Hits(7, 100.0, 50.0)}

"""What one engine learns of a name, the others know: an answer is another worker's packet than the flow that follows."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.dns import GRACE, World

DB = "db.example.org"


@pytest.fixture
def two(core_module):
    """Name: two. Scope: function. Depends: core_module. Two engines of one instance: what each shares, both have."""
    both = World(core_module, workers=2), World(core_module, workers=2)
    shared: dict[bytes, bytes] = {}
    for one in both:
        one.core.names = shared
    yield both
    for one in both:
        one.core.close()


def test_the_first_connection_passes_where_another_worker_saw_the_answer(two):
    resolver, other = two
    assert not other.connects(sport=1)
    assert not other.core.flows
    resolver.learns(DB)
    assert other.connects(sport=2)
    assert other.connects(sport=1)
    (known,) = other.known()
    assert other.core.ffi.string(known.asked) == DB.encode()
    assert other.counts() == {}


def test_an_address_that_is_forgotten_is_shared_no_more(two):
    resolver, other = two
    resolver.learns(DB)
    resolver.core.advance(60 + GRACE + 1)
    other.core.advance(60 + GRACE + 1)
    assert not other.connects(sport=1)
    assert not resolver.known()
    assert not resolver.core.names


def test_what_was_learnt_anew_outlives_an_older_copy(two):
    resolver, other = two
    resolver.learns(DB)
    assert other.connects(sport=1)
    resolver.core.advance(100)
    resolver.learns(DB)
    other.core.advance(60 + GRACE + 1)
    assert other.connects(sport=2)


def test_an_engine_that_is_alone_shares_nothing(core_module):
    world = World(core_module)
    world.learns(DB)
    assert world.core.names == {}
    world.core.close()

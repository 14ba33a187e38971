"""What one engine learns of a name, the others know: an answer is another worker's packet than the flow that follows."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.dns import GRACE, PORT_NINE, World
from tests.unit.engine.core.harness import PORT

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


def test_other_names_of_an_address_take_no_place_of_its_own(two):
    """A quarter of the others was to be found in the same slot, and the first connection was denied."""
    resolver, other = two
    resolver.learns(DB)
    for number in range(40):
        resolver.learns(f"n{number}.other.test")
    assert len(resolver.core.names) == 1
    assert other.connects()


def test_several_names_of_a_group_are_shared_each_in_a_slot(two):
    resolver, other = two
    for text in ("a.cdn.example", "b.cdn.example", "c.cdn.example", DB):
        resolver.learns(text)
    assert len(resolver.core.names) == 4
    assert other.connects()
    assert len(other.known()) == 4
    resolver.learns("d.cdn.example")
    assert len(resolver.core.names) == 4


def test_a_name_that_a_policy_puts_into_a_group_is_shared_then(two):
    resolver, other = two
    resolver.learns("late.example")
    assert resolver.core.names == {}
    for one in two:
        one.allow("late.example")
    assert other.connects()
    for one in two:
        one.allow("early.example")
    assert resolver.core.names == {}


def test_what_another_has_learnt_is_not_shared_again(two):
    resolver, other = two
    resolver.learns(DB)
    assert other.connects()
    resolver.core.names.clear()
    other.allow(*other.names)
    assert other.core.names == {}


def test_no_port_has_all_the_room_that_is_shared(two):
    """Of a worker's 32,768 places two thirds at most; another port has half of what is then left."""
    resolver, _other = two
    for number in range(24):
        ips = [f"10.{number}.{at // 256}.{at % 256}" for at in range(1000)]
        resolver.learns(f"n{number}.cdn.example", *ips)
    assert len(resolver.core.names) == 21846
    assert resolver.counts(PORT)["evicted"] == 24000 - 21846
    resolver.learns(DB, port=PORT_NINE)
    assert len(resolver.core.names) == 21847


def test_where_there_is_no_room_nothing_is_shared_and_that_is_counted(two):
    resolver, _other = two
    resolver.core.names_are_full = True
    resolver.learns(DB)
    assert resolver.counts() == {"learnt": 1, "evicted": 1}
    assert resolver.connects()


def test_an_engine_that_is_alone_shares_nothing(core_module):
    world = World(core_module)
    world.learns(DB)
    assert world.core.names == {}
    world.core.close()

"""One side of a connection in order: holes, repeats, other versions, acknowledgements."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NEW, PAST, AHEAD, DIFFERS, NO_ROOM = range(5)
FIRST = 2**32 - 20
DATA = bytes(range(1, 101))


class Tape:
    """A struct sg_tape, and what was read of it."""

    def __init__(self, module: Any, room: int = 1 << 24) -> None:
        self._ffi, self._lib = module.ffi, module.lib
        self._all = self._lib.sg_streams_new(room)
        self._tape = self._lib.sg_tape_new(self._all, FIRST)
        self.read = b""

    def add(self, at: int, data: bytes) -> int:
        given = self._ffi.new("uint8_t[]", data)
        seq = (FIRST + at) % 2**32
        said = self._lib.sg_tape_add(self._all, self._tape, seq, given, len(data))
        count = self._ffi.new("uint32_t *")
        while (found := self._lib.sg_tape_next(self._tape, count)) and count[0]:
            self.read += bytes(self._ffi.buffer(found, count[0]))
            self._lib.sg_tape_read(self._tape, count[0])
        return said

    def acknowledge(self, at: int) -> int:
        ack = (FIRST + at) % 2**32
        return self._lib.sg_tape_acknowledge(self._all, self._tape, ack)

    def skip(self, at: int) -> None:
        self._lib.sg_tape_skip(self._all, self._tape, (FIRST + at) % 2**32)

    @property
    def memory(self) -> int:
        return self._lib.sg_streams_bytes(self._all)

    def close(self) -> None:
        """Free it; nothing of it is left."""
        self._lib.sg_tape_free(self._all, self._tape)
        assert self.memory == 0
        self._lib.sg_streams_free(self._all)


@pytest.fixture
def tape(core_module):
    made = Tape(core_module)
    yield made
    made.close()


def test_in_order_over_the_wrap_of_numbers(tape):
    assert [tape.add(at, DATA[at : at + 10]) for at in range(0, 100, 10)] == [NEW] * 10
    assert tape.read == DATA


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_any_order(tape, order):
    for number in order:
        tape.add(25 * number, DATA[25 * number : 25 * number + 25])
    assert tape.read == DATA


def test_what_lies_behind_a_hole_is_read_with_what_fills_it(tape):
    assert tape.add(10, DATA[10:20]) == AHEAD
    assert tape.add(12, DATA[12:18]) == PAST
    assert tape.read == b""
    assert tape.add(0, DATA[:15]) == NEW
    assert tape.read == DATA[:20]


@pytest.mark.parametrize("at", [0, 5, 10, 15])
def test_another_version_is_told_read_or_not(tape, at):
    tape.add(0, DATA[:10])
    tape.add(12, DATA[12:20])
    assert tape.add(at, bytes(8)) == DIFFERS
    assert tape.add(0, DATA[:20]) == NEW
    assert tape.read == DATA[:20]


def test_what_was_read_and_acknowledged_is_forgotten(tape):
    before = tape.memory
    tape.add(0, DATA[:50])
    assert tape.acknowledge(50) == 0
    assert tape.memory == before
    assert tape.add(0, bytes(40)) == PAST
    assert tape.add(49, b"\0" + DATA[50:60]) == NEW
    assert tape.read == DATA[:60]


def test_a_fin_is_acknowledged_as_one_more(tape):
    tape.add(0, DATA)
    assert tape.acknowledge(101) == 0


def test_what_was_not_read_is_not_taken_as_acknowledged(tape):
    tape.add(10, DATA[10:20])
    assert tape.acknowledge(20) == 1
    assert tape.add(0, DATA[:10]) == NEW
    assert tape.read == DATA[:20]


def test_a_hole_is_given_up(tape):
    tape.add(10, DATA[10:20])
    tape.skip(20)
    assert tape.add(20, DATA[20:30]) == NEW
    assert tape.read == DATA[10:30], "what came behind the hole is not lost"


def test_too_much_finds_no_room(core_module):
    tape = Tape(core_module, room=4000)
    assert tape.add(0, bytes(3000)) == NEW
    assert tape.add(3000, bytes(3000)) == NO_ROOM
    tape.acknowledge(3000)
    assert tape.add(3000, bytes(3000)) == NEW
    tape.close()


def test_holes_are_bounded(tape):
    said = [tape.add(2 * number + 1, b"x") for number in range(1030)]
    assert said.count(AHEAD) == 1024
    assert set(said) == {AHEAD, NO_ROOM}


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40)), max_size=30),
    acks=st.lists(st.integers(0, 110), max_size=30),
)
def test_against_a_naive_one(core_module, pieces, acks):
    tape, have = Tape(core_module), set()
    for number, (at, length) in enumerate(pieces):
        data = DATA[at : at + length]
        tape.add(at, data)
        have |= set(range(at, at + len(data)))
        whole = next(one for one in range(101) if one not in have)
        assert tape.read == DATA[:whole]
        if number < len(acks):
            tape.acknowledge(acks[number])
    tape.close()

"""Places of changed filters, from what the kernel says."""

from __future__ import annotations

import struct

import pytest

from pyctl.platform.watch.filters import RTM_DELTFILTER, RTM_NEWTFILTER, FilterWatch
from tests.unit.platform.watch.said import LOST, hears

RTM_DELQDISC = 37


def message(kind: int, ifindex: int, info: int) -> bytes:
    body = struct.pack("=BxxxiIII", 0, ifindex, 1, 2, info) + b"\4\0\1\0" * 3
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


@pytest.fixture
def touched(monkeypatch):
    """What a watch says was touched, of what the kernel said."""
    return lambda *said: hears(monkeypatch, FilterWatch, *said).touched()


def test_each_change_has_its_place(touched):
    several = (
        message(RTM_NEWTFILTER, 5, 10001 << 16) + message(RTM_DELTFILTER, 6, 39 << 16),
        message(RTM_NEWTFILTER, 5, 10001 << 16 | 0x800),
    )
    assert touched(*several) == {(5, 10001), (6, 39)}
    assert touched() == frozenset()


def test_a_queueing_discipline_is_all_prefs(touched):
    assert touched(message(RTM_DELQDISC, 7, 1)) == {(7, 0)}


def test_a_lost_message_may_be_anywhere(touched):
    heard = message(RTM_NEWTFILTER, 5, 1 << 16)
    assert touched(heard, LOST) is None
    assert touched(LOST, heard) is None


def test_what_is_cut_short_is_left_out(touched):
    assert touched(message(RTM_NEWTFILTER, 5, 1 << 16)[:30]) == frozenset()

"""Places of changed filters, from what the kernel says."""

from __future__ import annotations

import struct

import pytest

from pyctl.platform.watch.filters import RTM_DELTFILTER, RTM_NEWTFILTER, FilterWatch

RTM_DELQDISC = 37


def message(kind: int, ifindex: int, info: int) -> bytes:
    body = struct.pack("=BxxxiIII", 0, ifindex, 1, 2, info) + b"\4\0\1\0" * 3
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


@pytest.fixture
def heard(monkeypatch):
    """(what is told, whether all of it is)."""
    said: list = [[], True]

    def drain(_self, tell):
        for data in said[0]:
            tell(data)
        return said[1]

    monkeypatch.setattr(FilterWatch, "__init__", lambda _self: None)
    monkeypatch.setattr(FilterWatch, "drain", drain)
    return said


def test_each_change_has_its_place(heard):
    heard[0] = [
        message(RTM_NEWTFILTER, 5, 10001 << 16) + message(RTM_DELTFILTER, 6, 39 << 16),
        message(RTM_NEWTFILTER, 5, 10001 << 16 | 0x800),
    ]
    assert FilterWatch().touched() == {(5, 10001), (6, 39)}


def test_a_queueing_discipline_is_all_prefs(heard):
    heard[0] = [message(RTM_DELQDISC, 7, 1)]
    assert FilterWatch().touched() == {(7, 0)}


def test_a_lost_message_may_be_anywhere(heard):
    heard[:] = [[message(RTM_NEWTFILTER, 5, 1 << 16)], False]
    assert FilterWatch().touched() is None

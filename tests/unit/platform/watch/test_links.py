"""Which links the kernel's messages speak of."""

from __future__ import annotations

import struct

from pyctl.platform.netlink.links import RTM_DELLINK, RTM_NEWLINK
from pyctl.platform.watch.links import LinkWatch, indexes
from tests.unit.platform.watch.said import LOST, hears


def message(kind: int, index: int, rest: bytes = b"") -> bytes:
    body = struct.pack("=BxHiII", 0, 1, index, 0, 0) + rest
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_every_message_of_a_datagram_is_read():
    data = message(RTM_NEWLINK, 7, b"\0" * 8) + message(RTM_DELLINK, 9)
    assert indexes(data) == [7, 9]


def test_what_is_no_link_or_cut_short_is_left_out():
    data = message(20, 7) + message(RTM_NEWLINK, 9)[:20]
    assert indexes(data) == []


def test_links_that_changed_are_told_once_and_lost_messages_are_of_any(monkeypatch):
    said = [message(RTM_NEWLINK, 7), message(RTM_DELLINK, 7), message(RTM_NEWLINK, 9)]
    watch = hears(monkeypatch, LinkWatch, *said)
    assert watch.touched() == {7, 9}
    assert watch.touched() == frozenset()
    assert hears(monkeypatch, LinkWatch, LOST, *said).touched() is None

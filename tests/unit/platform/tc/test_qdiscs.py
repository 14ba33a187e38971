"""Qdiscs of one interface: which were set, which can be put back, and in which order they are."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from typing import cast

import pytest

from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    RawNetlink,
    attr,
    attr_text,
    attrs,
    nest,
)
from pyctl.platform.tc import messages, qdiscs
from pyctl.platform.tc.messages import (
    TC_H_EGRESS_HOOK,
    TC_H_INGRESS_HOOK,
    TCA_KIND,
    TCA_OPTIONS,
    TCMSG,
)
from tests.unit.platform.tc.kernel import filter_body, qdisc

ROOT = 0xFFFFFFFF
TCA_STATS = 3


def classed(kind: str, handle: int, parent: int, *options: bytes) -> bytes:
    """A qdisc or class of interface 5."""
    inside = nest(TCA_OPTIONS, *options) if options else b""
    return TCMSG.pack(0, 5, handle, parent, 9) + attr_text(TCA_KIND, kind) + inside


HTB = classed("htb", 0x10000, ROOT, attr(2, struct.pack("=5I", 0x30011, 1, 2, 3, 4)))
LEAF = classed("fq_codel", 0x20000, 0x10001, attr(1, b"\7\0\0\0"))
FIRST = classed("htb", 0x10001, 0x10000, attr(1, b"\1\0\0\0"))
BELOW = classed("htb", 0x10002, 0x10001, attr(1, b"\2\0\0\0"))


class Socket:
    """The qdiscs, classes and filters of a namespace; an addition needs its parent."""

    def __init__(self, found: Iterable[bytes], classes: Iterable[bytes] = ()) -> None:
        self.qdiscs, self.classes = list(found), list(classes)
        self.filters: list[bytes] = []
        self.refuse: set[int] = set()
        self.rounds: list[list[Message]] = []

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        if kind == messages.RTM_GETQDISC:
            return self.qdiscs
        if kind == messages.RTM_GETTCLASS:
            return self.classes
        _family, index, _handle, place, _info = TCMSG.unpack_from(body)
        return [
            one
            for one in self.filters
            if TCMSG.unpack_from(one)[1::2][:2] == (index, place)
        ]

    def batch(self, sent: Iterable[Message]) -> list[NetlinkError | None]:
        self.rounds.append(list(sent))
        return [self._take(message) for message in self.rounds[-1]]

    def _take(self, message: Message) -> NetlinkError | None:
        handle, parent = TCMSG.unpack_from(message.body)[2:4]
        known = {TCMSG.unpack_from(one)[2] for one in (*self.qdiscs, *self.classes)}
        if handle in self.refuse or parent not in known | {ROOT}:
            return NetlinkError(errno.ENOENT, "no parent")
        of = self.qdiscs if message.kind == messages.RTM_NEWQDISC else self.classes
        of.append(message.body)
        return None


def nl(found: Iterable[bytes], classes: Iterable[bytes] = ()) -> RawNetlink:
    return cast("RawNetlink", Socket(found, classes))


def test_what_the_kernel_made_or_another_interface_has_is_left_out() -> None:
    found = [qdisc(5, "clsact"), qdisc(6, "clsact"), qdisc(5, "mq", handle=0)]
    assert qdiscs.dump(nl(found), 5) == (qdisc(5, "clsact"),)
    assert qdiscs.set_on(iter(found), 6) == (qdisc(6, "clsact"),)


def test_classes_come_after_their_parents_and_buckets_not_at_all() -> None:
    bucket = classed("fq_codel", 0x20003, 0x20000)
    other = TCMSG.pack(0, 6, 0x10001, 0x10000, 0) + FIRST[TCMSG.size :]
    found = qdiscs.dump_classes(nl((), [BELOW, bucket, other, FIRST]), 5)
    assert found == (FIRST, BELOW)


def test_classes_that_name_each_other_end_all_the_same() -> None:
    one = classed("htb", 0x10001, 0x10002, attr(1, b"\0" * 4))
    two = classed("htb", 0x10002, 0x10001, attr(1, b"\0" * 4))
    assert set(qdiscs.dump_classes(nl((), [one, two]), 5)) == {one, two}


def test_filters_count_on_both_hooks_or_on_the_qdisc_itself() -> None:
    there = Socket([])
    there.filters = [
        filter_body(5, 1, TC_H_INGRESS_HOOK),
        filter_body(5, 2, TC_H_EGRESS_HOOK),
        filter_body(5, 3, 0x10000),
        filter_body(6, 4, TC_H_INGRESS_HOOK),
    ]
    asked = cast("RawNetlink", there)
    assert qdiscs.count_filters(asked, 5, [qdisc(5, "clsact")]) == 2
    assert qdiscs.count_filters(asked, 5, [HTB]) == 1
    assert qdiscs.count_filters(asked, 5, [HTB, HTB, qdisc(5, "ingress")]) == 3


@pytest.mark.parametrize(
    ("place", "left"),
    [
        (None, (qdisc(5, "clsact"), HTB, LEAF)),
        (TC_H_EGRESS_HOOK, (HTB, LEAF)),
        # A filter in a tree sends frames to classes: the tree is not the same without it.
        (0x10000, (qdisc(5, "clsact"),)),
    ],
)
def test_what_has_filters_is_not_put_back(
    place: int | None, left: tuple[bytes, ...]
) -> None:
    there = Socket([qdisc(5, "clsact"), HTB, LEAF])
    there.filters = [filter_body(5, 1, place)] if place else []
    assert qdiscs.restorable(cast("RawNetlink", there), 5) == left


def test_a_tree_is_put_back_whatever_order_it_takes() -> None:
    there = Socket([qdisc(5, "clsact")])
    wanted = (LEAF, qdisc(5, "clsact"), HTB)
    assert qdiscs.put_back(cast("RawNetlink", there), wanted, (FIRST, BELOW)) == []
    handles = {TCMSG.unpack_from(body)[2] for body in there.qdiscs}
    assert handles == {0xFFFF0000, 0x10000, 0x20000}
    assert len(there.classes) == 2
    # What was there is not sent again.
    sent = [message for one in there.rounds for message in one]
    assert all(TCMSG.unpack_from(one.body)[2] != 0xFFFF0000 for one in sent)


def test_what_is_refused_ends_the_rounds_and_is_told() -> None:
    there = Socket([])
    there.refuse = {0x10000}
    told = qdiscs.put_back(cast("RawNetlink", there), (HTB, LEAF), (FIRST,))
    assert len(told) == 3
    assert any(one.startswith("htb: ") for one in told)
    assert len(there.rounds) == 1


def test_statistics_stay_behind_and_htb_gets_the_version_that_it_takes() -> None:
    there = Socket([])
    shown = HTB + attr(TCA_STATS, b"\1\2\3\4")
    assert qdiscs.put_back(cast("RawNetlink", there), (shown,), ()) == []
    (sent,) = there.rounds[0]
    found = attrs(sent.body[TCMSG.size :])
    assert set(found) == {TCA_KIND, TCA_OPTIONS}
    assert struct.unpack("=5I", attrs(found[TCA_OPTIONS])[2]) == (3, 1, 2, 3, 4)
    assert TCMSG.unpack_from(sent.body)[4] == 0

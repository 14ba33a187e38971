"""Of all filters on a hook, those of others that frames meet first."""

from __future__ import annotations

import sys

from pyctl.datapath.foreign_filters import in_front
from pyctl.platform.netlink.raw import attr
from pyctl.platform.tc.filters import TCA_CHAIN, Filter
from pyctl.platform.tc.messages import TCMSG


def found(pref: int, kind: str, chain: int = 0) -> Filter:
    body = TCMSG.pack(0, 5, 1, 0, pref << 16)
    return Filter(pref, kind, body + attr(TCA_CHAIN, chain.to_bytes(4, sys.byteorder)))


def told(*filters: Filter) -> list[str]:
    lines = in_front("vex", filters, 100, lambda one: one.kind == "ours")
    return [line.split(":")[0] for line in lines]


def test_what_stands_behind_ours_or_is_ours_is_not_told():
    assert told(found(100, "flower"), found(101, "flower"), found(5, "ours")) == []
    assert told(found(99, "flower")) == ["in front vex pref 99"]


def test_a_pref_is_told_once_for_each_kind_in_the_order_in_which_frames_meet_it():
    many = [found(9, "u32"), found(9, "u32"), found(5, "flower"), found(9, "bpf")]
    assert told(*many) == [f"in front vex pref {pref}" for pref in (5, 9, 9)]
    (line,) = in_front("vex", many[:2], 100, lambda _: False)
    assert line.endswith("a u32 filter of another, which frames meet before ours")


def test_another_chain_is_reached_through_the_first_alone():
    assert told(found(5, "flower", chain=7)) == []

"""Heads of tc messages lie as linux/rtnetlink.h has them."""

from __future__ import annotations

import struct

import pytest
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from pyctl.platform.netlink.raw import attrs, text
from pyctl.platform.tc import messages
from pyctl.platform.tc.messages import TC_H_INGRESS_HOOK, TCA_KIND, TCMSG


def read(body: bytes) -> tcmsg:
    """A body as pyroute2 reads it."""
    found = tcmsg(struct.pack("=IHHII", 16 + len(body), 36, 0, 1, 0) + body)
    found.decode()
    return found


def test_clsact_has_the_place_of_both_hooks() -> None:
    found = read(messages.clsact(7))
    assert (found["index"], found["handle"], found["parent"]) == (
        7,
        0xFFFF0000,
        0xFFFFFFF1,
    )
    assert found.get("kind") == "clsact"
    assert text(attrs(messages.clsact(7)[TCMSG.size :])[TCA_KIND]) == "clsact"


@pytest.mark.parametrize("info", [0, 10001 << 16 | 0x0300])
def test_a_filters_head_has_its_hook_and_its_pref(info: int) -> None:
    found = read(messages.on_hook(7, TC_H_INGRESS_HOOK, info))
    assert (found["index"], found["handle"]) == (7, 0)
    assert (found["parent"], found["info"]) == (0xFFFFFFF2, info)


def test_qdiscs_are_asked_for_by_the_interface_alone() -> None:
    assert TCMSG.unpack(messages.qdiscs_of(7)) == (0, 7, 0, 0, 0)

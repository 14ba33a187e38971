"""The head of traffic control's messages: linux/rtnetlink.h and pkt_sched.h, as far as it is used here.

In: an interface, a hook. Out: the bodies' beginning. I/O: none.
"""

from __future__ import annotations

import struct

from pyctl.platform.netlink.raw import attr_text

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTCLASS, RTM_GETTCLASS = 40, 42
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
TC_H_CLSACT, TC_H_CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK = 0xFFFFFFF2, 0xFFFFFFF3
"""TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS and TC_H_MIN_EGRESS)"""
TCA_KIND, TCA_OPTIONS, TCA_CHAIN = 1, 2, 11

TCMSG = struct.Struct("=BxxxiIII")
"""Family, ifindex, handle, parent, info; of a filter info is pref << 16 | protocol."""


def clsact(ifindex: int) -> bytes:
    """Return the body for the qdisc that holds both hooks of an interface."""
    head = TCMSG.pack(0, ifindex, TC_H_CLSACT_HANDLE, TC_H_CLSACT, 0)
    return head + attr_text(TCA_KIND, "clsact")


def qdiscs_of(ifindex: int) -> bytes:
    """Return the body that asks for an interface's qdiscs; the kernel answers with those of all links."""
    return TCMSG.pack(0, ifindex, 0, 0, 0)


def on_hook(ifindex: int, hook: int, info: int = 0) -> bytes:
    """Return the body's head for a filter on a hook, or for a dump of the hook (`info` 0: all filters)."""
    return TCMSG.pack(0, ifindex, 0, hook, info)

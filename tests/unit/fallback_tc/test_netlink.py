"""What tc does not send: replacing, deleting, dumping. What it sends is in test_render."""

from __future__ import annotations

import struct

import pytest

from fallback_tc import netlink, render
from fallback_tc.plan import ruleset
from fallback_tc.rules import Match, Parent, Rule, Unknown
from tests.unit.fallback_tc.makers import LINKS, PAIR

index = LINKS.__getitem__


def test_a_replacement_is_the_same_filter_by_its_handle():
    """Without CREATE: where the filter is gone, the kernel must say so."""
    rule = ruleset(PAIR)[0]
    there, here = netlink.add(rule, index), netlink.replace(rule, index, 0x80000801)
    assert here.flags == netlink.NLM_F_REPLACE
    head = netlink.TCMSG.unpack_from(here.body)
    assert head[2] == 0x80000801
    assert head[3:] == netlink.TCMSG.unpack_from(there.body)[3:]
    assert here.body[netlink.TCMSG.size :] == there.body[netlink.TCMSG.size :]


def test_a_deletion_is_what_tc_sends(tc_shim):
    rule = ruleset(PAIR)[0]
    ((kind, flags, body),) = tc_shim.sent(
        [render.delete(rule).removeprefix("tc ")], LINKS
    )
    assert (kind, flags & ~0x5, body) == netlink.delete(rule, index)
    one = netlink.delete(rule, index, 0x80000800)
    assert netlink.TCMSG.unpack_from(one.body)[2] == 0x80000800


def test_a_dump_asks_for_one_hook():
    asked = netlink.dump(PAIR.vex, Parent.CLSACT_INGRESS, index)
    assert asked.kind == netlink.RTM_GETTFILTER
    assert netlink.TCMSG.unpack(asked.body) == (0, 7, 0, 0xFFFFFFF2, 0)


def test_pref_and_protocol_share_a_word():
    body = netlink.add(ruleset(PAIR)[0], index).body
    info = netlink.TCMSG.unpack_from(body)[4]
    assert info >> 16 == 9995
    assert struct.pack("=H", info & 0xFFFF) == struct.pack("!H", 0x0003)


def test_what_has_no_message_is_refused():
    match = (Match(1, 0, 0),)
    odd = Rule("vexbe87-eth0", Parent.INGRESS, 1, "all", match, (Unknown("police"),))
    with pytest.raises(ValueError, match="no message"):
        netlink.add(odd, index)
    with pytest.raises(ValueError, match="no number"):
        netlink.add(Rule(PAIR.vex, Parent.INGRESS, 1, "LLDP", match, ()), index)


def test_an_interface_that_is_not_there_is_the_callers_error():
    with pytest.raises(KeyError):
        netlink.add(ruleset(PAIR)[0], {}.__getitem__)

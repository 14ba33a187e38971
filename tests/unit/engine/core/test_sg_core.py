"""Copies from a tap: judged, learned and told like frames that are held, and never sent."""

from __future__ import annotations

import pytest

from pyctl import abi
from tests import packets
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    EGRESS,
    INGRESS,
    PORT,
    Core,
    Rule,
)
from tests.unit.engine.core.wire import Connection, udp


class Copied(Core):
    """A core that gets every frame as a tap sends it."""

    def feed(self, data: bytes, **options):
        copy = data.replace(abi.ucmac(PORT), packets.tapmac(PORT), 1)
        assert copy != data
        return super().feed(copy, **options)


@pytest.fixture
def tapped(core) -> Core:
    core.__class__ = Copied
    return core


@pytest.mark.parametrize("mode", ["discover", "monitor", "protect"])
def test_no_copy_is_sent_whatever_its_verdict_and_the_mode_by_then(tapped, net, mode):
    tapped.set_policy(
        Rule(DENY, id=5, ports=(81, 81), proto=6), Rule(), mode=mode, rst=True
    )
    assert tapped.feed(net.out(udp())) == []
    denied = Connection(net, INGRESS, dport=81)
    assert tapped.feed(denied.segment(0, "S")) == []
    assert "from_engine" not in tapped.counters()
    assert tapped.counters()["to_engine"] == 2
    assert tapped.passed("policy_deny") == 1, "it went on: nothing was dropped"
    assert ("violation", "policy_deny") in tapped.told()


def test_a_copied_connection_is_learned_and_carried_by_the_kernel(tapped, net):
    tapped.set_policy(mode="discover", default=ALLOW)
    talk = Connection(net, INGRESS)
    for turn, flags in ((0, "S"), (1, "SA"), (0, "A")):
        tapped.feed(talk.segment(turn, flags))
    (session,) = tapped.sessions()
    assert (session.verdict, session.dir, session.tcp_state) == (ALLOW, INGRESS, 1)
    assert len(tapped.flows) == 1


def test_copied_fragments_are_put_together_and_not_sent(tapped, net):
    tapped.set_policy(mode="discover", default=ALLOW)
    for frame in net.fragments(net.out(udp(payload=bytes(3000)))):
        assert tapped.feed(frame) == []
    assert len(tapped.sessions()) == 1


def test_what_is_held_while_the_mode_changes_to_a_tap_still_goes_on(core, net):
    core.set_policy(mode="discover")
    assert core.passes(net.out(udp()))


@pytest.mark.parametrize("why", ["truncated", "no policy", "quarantine"])
def test_a_copy_that_cannot_be_judged_was_no_loss(tapped, net, why):
    if why != "no policy":
        tapped.set_policy(mode="quarantine" if why == "quarantine" else "discover")
    frame = net.out(udp())
    tapped.feed(frame, wire_len=len(frame) + (why == "truncated"))
    (reason,) = tapped.drops()
    assert tapped.passed(reason) == 1


def test_a_copy_that_was_under_way_as_protect_began_blocks_nothing(core, net):
    """No reset can be sent for one: the first packet that is held resets both ends."""
    core.set_policy(mode="monitor")
    talk = Connection(net, EGRESS).established(core)
    core.set_policy(mode="protect")
    copy = talk.segment(0, "A").replace(abi.ucmac(PORT), packets.tapmac(PORT), 1)
    assert core.feed(copy) == []
    data = talk.segment(0, "PA", b"held")
    resets = core.feed(data)
    assert len(resets) == 2
    assert data not in resets


def test_nor_does_one_of_a_connection_that_nobody_saw_begin(core, net):
    core.set_policy(mode="protect")
    talk = Connection(net, EGRESS)
    copy = talk.segment(0, "A").replace(abi.ucmac(PORT), packets.tapmac(PORT), 1)
    assert core.feed(copy) == []
    assert len(core.feed(talk.segment(0, "PA", b"held"))) == 2

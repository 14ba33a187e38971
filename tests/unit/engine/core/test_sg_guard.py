"""Threats and a port's settings: what is told, how often, and what is dropped in which mode."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from pyctl.model.threats import ThreatAction
from tests.unit.engine.core.harness import ALLOW, OTHER_PORT, PORT, Rule
from tests.unit.engine.core.threats import alert, drop, on, told
from tests.unit.engine.core.wire import SERVICE, udp

OPEN = Rule(ALLOW)


def land(net):
    """A SYN from the workload's own address and port."""
    return net.into(TCP(sport=SERVICE, dport=SERVICE, flags="S"), peer=net.pod)


def test_a_threat_that_is_off_is_not_told(core, net):
    core.set_policy(OPEN)
    assert core.passes(land(net))
    assert told(core) == []


def test_an_alert_lets_the_packet_pass(core, net):
    core.set_policy(OPEN, threats=alert("land"))
    assert core.passes(land(net))
    assert told(core) == [("land", "none", 1)]


def test_a_drop_tells_once_what_is_dropped(core, net):
    core.set_policy(OPEN, threats=drop("land"))
    assert core.feed(land(net)) == []
    assert core.told() == [("threat", "threat")]
    assert core.drops() == {"threat": 1}
    assert core.sessions() == []


def test_a_reset_answers_the_sender(core, net):
    core.set_policy(OPEN, threats=on(ThreatAction.RESET, "land"))
    (answer,) = core.feed(land(net))
    assert answer != land(net)
    assert core.drops() == {"threat": 1}


@pytest.mark.parametrize("mode", ["discover", "monitor"])
@pytest.mark.parametrize("action", [ThreatAction.DROP, ThreatAction.RESET])
def test_a_mode_that_only_records_drops_no_threat(core, net, mode, action):
    core.set_policy(OPEN, mode=mode, threats=on(action, "land"))
    assert core.passes(land(net))
    assert told(core) == [("land", "none", 1)]


def test_a_copy_is_told_and_not_answered(core, net):
    core.set_policy(OPEN, threats=on(ThreatAction.RESET, "land"))
    held = land(net)
    copy = held[:3] + b"\x54" + held[4:]
    assert core.feed(copy) == []
    assert told(core) == [("land", "none", 1)]
    assert core.drops() == {}


def test_repeats_are_one_event_in_thirty_seconds(core, net):
    core.set_policy(OPEN, threats=drop("land"))
    for _ in range(5):
        core.feed(land(net))
    assert told(core) == [("land", "threat", 1)]
    core.advance(29)
    assert told(core) == []
    core.advance(6)
    assert told(core) == [("land", "threat", 4)]
    core.advance(60)
    assert told(core) == []


def test_each_peer_is_told_apart(core, net):
    core.set_policy(OPEN, threats=alert("syn_data"))
    syn = TCP(sport=1, dport=SERVICE, flags="S") / b"data"
    core.feed(net.into(syn))
    core.feed(net.into(syn, peer=net.other))
    assert told(core) == [("syn_data", "none", 1)] * 2


def test_what_waits_is_told_when_the_engine_ends(core_module, net):
    """The log may be in memory that outlives it."""
    from tests.unit.engine.core import harness

    core = harness.Core(core_module)
    core.set_policy(OPEN, threats=drop("land"))
    for _ in range(3):
        core.feed(land(net))
    core.close()


def test_the_settings_are_checked(core):
    policy = core.ffi.new("struct sg_policy *")
    policy.generation, policy.port_id, policy.mode = 1, PORT, 3
    policy.default_verdict = 2
    nothing = core.ffi.new("struct sg_rule[1]")
    for wrong in ((0, 2, 0), (2, 0, 2), (1, 0, 0), (1 << 63, 0, 0)):
        policy.threats = wrong
        assert core.lib.sg_core_policy_set(core.core, policy, nothing) == -22
    policy.threats = (6, 2, 2)
    assert core.lib.sg_core_policy_set(core.core, policy, nothing) == 0


def test_each_port_has_its_own_settings(core, net):
    core.set_policy(OPEN, threats=drop("syn_data"))
    core.set_policy(OPEN, port=OTHER_PORT)
    syn = TCP(sport=1, dport=SERVICE, flags="S") / b"data"
    assert core.feed(net.into(syn)) == []
    assert core.passes(net.into(syn, port=OTHER_PORT))


def test_overlapping_fragments_are_a_teardrop_and_a_repeat_is_none(core, net):
    core.set_policy(OPEN, threats=alert("teardrop"))
    pieces = net.fragments(net.into(udp(payload=b"x" * 2000)))
    core.feed(pieces[0])
    core.feed(pieces[0])
    assert told(core) == []
    core.feed(net.fragments(net.into(udp(payload=b"x" * 1900)), size=560)[1])
    assert told(core) == [("teardrop", "none", 1)]


def test_a_land_attack_needs_the_same_port(core, net):
    core.set_policy(OPEN, threats=drop("land"))
    assert core.passes(net.into(TCP(sport=1, dport=SERVICE, flags="S"), peer=net.pod))
    assert core.passes(net.into(TCP(sport=SERVICE, dport=SERVICE, flags="S")))
    assert told(core) == []
    assert core.feed(net.into(udp(SERVICE, SERVICE), peer=net.pod)) == []
    assert told(core) == [("land", "threat", 1)]


def test_a_deleted_port_forgets_its_guard(core, net):
    core.set_policy(OPEN, threats=alert("land"))
    core.lib.sg_core_port_delete(core.core, PORT)
    assert core.feed(land(net)) == []
    assert told(core) == []

"""Rules: order, direction, family, protocol, ports, networks, modes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    EGRESS,
    INGRESS,
    PORT,
    Core,
    Rule,
)
from tests.unit.engine.core.wire import NETS, SERVICE, Connection, sctp, udp

EINVAL = 22


def test_the_first_rule_that_matches_decides(core, net):
    """Behaviour 19."""
    narrow = Rule(DENY, proto=17, ports=(SERVICE, SERVICE), id=1)
    wide = Rule(ALLOW, proto=17, id=2)
    core.set_policy(narrow, wide)
    assert not core.passes(net.out(udp()))
    assert core.drops() == {"policy_deny": 1}
    core.set_policy(wide, narrow)
    assert core.passes(net.out(udp(sport=1)))


@pytest.mark.parametrize(("dport", "allowed"), [(79, 0), (80, 1), (90, 1), (91, 0)])
def test_port_ranges_include_both_ends(core, net, dport, allowed):
    core.set_policy(Rule(proto=17, ports=(80, 90)))
    assert core.passes(net.out(udp(dport=dport))) == bool(allowed)


def test_ports_are_the_initiators_destination(core, net):
    core.set_policy(Rule(proto=17, ports=(SERVICE, SERVICE)))
    assert core.passes(net.into(udp(sport=1, dport=SERVICE)))
    assert not core.passes(net.into(udp(sport=SERVICE, dport=2)))


def test_protocol_any_takes_tcp_udp_icmp_and_all_others(core, net):
    core.set_policy(Rule())
    for frame in (
        Connection(net, EGRESS).segment(0, "S"),
        net.out(udp()),
        net.out(net.ping()),
        net.out(sctp(1, 1, 2)),
    ):
        assert core.passes(frame)


def test_protocol_any_with_ports_means_tcp_and_udp(core, net):
    core.set_policy(Rule(ports=(SERVICE, SERVICE)))
    assert core.passes(net.out(udp()))
    assert core.passes(Connection(net, EGRESS).segment(0, "S"))
    assert not core.passes(net.out(net.ping()))
    assert not core.passes(net.out(sctp(1, 1, SERVICE)))


def test_icmp_and_icmpv6_have_rules_of_their_own(core):
    for net, other in (NETS, reversed(NETS)):
        core.set_policy(Rule(proto=net.icmp))
        assert core.passes(net.out(net.ping()))
        assert not core.passes(other.out(other.ping()))


def test_a_rule_of_one_family_leaves_the_other_alone(core):
    for net, other in (NETS, reversed(NETS)):
        core.set_policy(Rule(family=net.family))
        assert core.passes(net.out(udp()))
        assert not core.passes(other.out(udp()))


def test_the_peer_is_the_other_end_in_both_directions(core, net):
    peer = net.address(net.peer)
    core.set_policy(Rule(family=net.family, peer=peer, prefix=8 * len(peer)))
    assert core.passes(net.out(udp()))
    assert core.passes(net.into(udp(sport=5)))
    assert not core.passes(net.out(udp(), peer=net.other))
    assert not core.passes(net.into(udp(sport=5), peer=net.other))


def test_host_bits_of_a_rules_network_do_not_matter(core, net):
    core.set_policy(Rule(family=net.family, peer=net.address(net.peer), prefix=1))
    assert core.passes(net.out(udp()))


@pytest.mark.parametrize("mode", ["discover", "monitor"])
def test_recording_modes_pass_what_a_rule_denies_and_tell_it(core, net, mode):
    core.set_policy(Rule(DENY, id=5), mode=mode)
    Connection(net, INGRESS).established(core)
    assert core.told() == [("violation", "policy_deny")]
    assert core.passed("policy_deny") == 1
    (session,) = core.sessions()
    assert (session.violation, session.verdict, session.rule_id) == (1, ALLOW, 5)
    assert len(core.flows) == 1


@pytest.mark.parametrize(("mode", "told"), [("discover", False), ("monitor", True)])
def test_what_no_rule_names_is_a_violation_in_monitor_and_learning_in_discover(
    core, net, mode, told
):
    core.set_policy(mode=mode)
    assert core.passes(net.out(udp()))
    assert (("violation", "default_deny") in core.told()) == told


def test_quarantine_drops_all(core, net):
    core.set_policy(Rule(), mode="quarantine", default=ALLOW)
    assert not core.passes(net.out(udp()))
    assert not core.passes(Connection(net, INGRESS).segment(0, "S"))
    assert core.drops() == {"quarantine": 2}


def test_quarantine_ends_where_it_began(core, net):
    """A connection goes on when the quarantine is lifted."""
    core.set_policy(Rule())
    connection = Connection(net, EGRESS).established(core)
    core.set_policy(Rule(), mode="quarantine")
    assert not core.passes(connection.segment(0, "PA", b"lost"))
    core.set_policy(Rule())
    assert core.passes(connection.segment(0, "PA", b"back"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dir": 3},
        {"family": 5},
        {"action": 0},
        {"prefix_len": 33},
        {"port_lo": 2, "port_hi": 1},
        {"family": 0, "prefix_len": 1},
    ],
    ids=str,
)
def test_a_bad_rule_is_refused_and_the_policy_in_force_stays(core, net, wrong):
    core.set_policy(Rule())
    values = {"family": 4, "action": 1, "port_hi": 65535} | wrong
    policy = {
        "generation": 9,
        "port_id": PORT,
        "mode": 3,
        "default_verdict": 2,
        "rule_count": 1,
    }
    rules = core.ffi.new("struct sg_rule[]", [values])
    pointer = core.ffi.new("struct sg_policy *", policy)
    assert core.lib.sg_core_policy_set(core.core, pointer, rules) == -EINVAL
    assert core.passes(net.out(udp()))


@pytest.mark.parametrize(
    "wrong", [{"port_id": 0}, {"mode": 0}, {"mode": 5}, {"default_verdict": 0}], ids=str
)
def test_a_bad_policy_is_refused(core, wrong):
    values = {"generation": 9, "port_id": PORT, "mode": 3, "default_verdict": 2} | wrong
    pointer = core.ffi.new("struct sg_policy *", values)
    assert core.lib.sg_core_policy_set(core.core, pointer, core.ffi.NULL) == -EINVAL


NET4, NET6 = NETS
ADDRESSES = {net.family: (net.peer, net.other, net.pod) for net in NETS}


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    family = draw(st.sampled_from([0, 4, 6]))
    peer, prefix = b"", 0
    if family:
        peer = NETS[family == 6].address(draw(st.sampled_from(ADDRESSES[family])))
        prefix = draw(st.integers(0, 8 * len(peer)))
    low = draw(st.sampled_from([0, 53, 80, SERVICE]))
    return Rule(
        action=draw(st.sampled_from([ALLOW, DENY])),
        dir=draw(st.sampled_from([0, EGRESS, INGRESS])),
        proto=draw(st.sampled_from([0, 6, 17, 1, 58, 132])),
        ports=draw(st.sampled_from([(0, 65535), (low, low), (low, 9000)])),
        family=family,
        peer=peer,
        prefix=prefix,
        id=draw(st.integers(1, 9999)),
    )


def oracle(ordered, net, direction, number, peer, dport):
    """First match, as one would write it without thinking of speed; None: the default."""
    for rule in ordered:
        ports = number in (6, 17) or rule.proto == 132
        if rule.dir not in (0, direction) or rule.family not in (0, net.family):
            continue
        if rule.proto not in (0, number):
            continue
        if rule.family:
            network = ipaddress.ip_network((rule.peer, rule.prefix), strict=False)
            if ipaddress.ip_address(peer) not in network:
                continue
        if ports and not rule.ports[0] <= dport <= rule.ports[1]:
            continue
        if not ports and not rule.proto and rule.ports != (0, 65535):
            continue
        return rule
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ordered=st.lists(rules(), max_size=12),
    net=st.sampled_from(NETS),
    direction=st.sampled_from([EGRESS, INGRESS]),
    number=st.sampled_from([6, 17, 132]),
    which=st.integers(0, 1),
    dport=st.sampled_from([53, 80, SERVICE, 9000, 9001]),
)
def test_first_match_equals_a_naive_oracle(
    core_module, ordered, net, direction, number, which, dport
):
    core = Core(core_module)
    core.set_policy(*ordered)
    peer = ADDRESSES[net.family][which]
    if number == 6:
        tcp = Connection(net, direction, dport=dport).segment(0, "S")
        frame = tcp.replace(net.address(net.peer), net.address(peer))
    else:
        layer = udp(dport=dport) if number == 17 else sctp(1, 1, dport)
        frame = (
            net.out(layer, peer=peer)
            if direction == EGRESS
            else net.into(layer, peer=peer)
        )
    rule = oracle(ordered, net, direction, number, peer, dport)
    allowed = rule is not None and rule.action == ALLOW
    assert core.passes(frame) == allowed
    decided = core.sessions()[0] if allowed else core.events()[0]
    assert decided.rule_id == (rule.id if rule else 0)
    core.close()

"""Answers to questions to groups: they come from addresses that no flow names, and for a while."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from pyctl.model.flow import Answer
from tests import packets
from tests.unit.engine.core.harness import EGRESS, INGRESS, Core, Rule
from tests.unit.engine.core.wire import CLIENT, NETS, bcmac, ucmac, udp

NET4, NET6 = NETS
SSDP, MDNS, WS_DISCOVERY = 1900, 5353, 3702
GROUPS = {4: packets.group_ip4, 6: packets.group_ip6}


def ask(core, net, dport=MDNS, sport=CLIENT):
    question = net.out(udp(sport=sport, dport=dport), peer=GROUPS[net.family])
    assert core.passes(question)
    return question


def answer(net, sport=MDNS, dport=CLIENT, **ip):
    return net.into(udp(sport=sport, dport=dport), **ip)


def test_an_answer_passes_and_counts_as_its_questions(core, net):
    core.set_policy(Rule(dir=EGRESS, id=7))
    ask(core, net)
    assert core.passes(answer(net))
    assert core.passes(answer(net, peer=net.other))
    (session,) = core.sessions()
    assert (session.rule_id, tuple(session.packets)) == (7, (1, 2))
    assert session.answer == list(Answer).index(Answer.DATA)
    assert core.told() == []


def test_it_opens_nothing(core, net):
    """The other end is not to be talked to because it answered a question to all."""
    core.set_policy(Rule(dir=EGRESS, proto=17, ports=(SSDP, SSDP)))
    ask(core, net, dport=SSDP)
    entries = len(core.flows)
    assert core.passes(answer(net, sport=50000))
    assert len(core.flows) == entries
    assert not core.passes(net.out(udp(dport=50000)))


@pytest.mark.parametrize(
    "other",
    [
        {"sport": MDNS + 1},
        {"dport": CLIENT + 1},
    ],
    ids=["from another port", "to another port"],
)
def test_what_does_not_answer_is_judged(core, net, other):
    core.set_policy(Rule(dir=EGRESS))
    ask(core, net)
    assert not core.passes(answer(net, **other))
    assert core.drops() == {"default_deny": 1}


@pytest.mark.parametrize("port", [SSDP, WS_DISCOVERY])
def test_some_are_answered_from_any_port(core, net, port):
    core.set_policy(Rule(dir=EGRESS))
    ask(core, net, dport=port)
    assert core.passes(answer(net, sport=50000))
    assert not core.passes(answer(net, sport=50000, dport=CLIENT + 1))


def test_for_ten_seconds_since_it_was_asked_last_by_the_kernel_too(core, net):
    core.set_policy(Rule(dir=EGRESS))
    ask(core, net)
    core.advance(9)
    assert core.passes(answer(net))
    for flow in core.flows.values():
        flow.last_seen = core.tick()
    core.advance(9)
    assert core.passes(answer(net))
    core.advance(2)
    assert not core.passes(answer(net))


def test_a_question_to_one_is_answered_by_that_one_alone(core, net):
    core.set_policy(Rule(dir=EGRESS))
    assert core.passes(net.out(udp(dport=MDNS)))
    assert core.passes(answer(net))
    assert not core.passes(answer(net, peer=net.other))


def test_who_may_not_ask_any_more_is_not_answered(core, net):
    core.set_policy(Rule(dir=EGRESS))
    ask(core, net)
    core.set_policy()
    assert not core.passes(answer(net))


def test_of_many_questions_the_last_ones_are_remembered(core, net):
    core.set_policy(Rule(dir=EGRESS))
    for sport in range(CLIENT, CLIENT + 33):
        ask(core, net, sport=sport)
    assert not core.passes(answer(net, dport=CLIENT))
    assert core.passes(answer(net, dport=CLIENT + 1))
    assert core.passes(answer(net, dport=CLIENT + 32))


def test_an_echo_request_to_all_is_answered_by_each(core, net):
    core.set_policy(Rule(dir=EGRESS))
    assert core.passes(net.out(net.ping(ident=5), peer=GROUPS[net.family]))
    assert core.passes(net.into(net.pong(ident=5)))
    assert not core.passes(net.into(net.pong(ident=6)))


@pytest.mark.parametrize(
    ("mac", "address"),
    [
        (ucmac(), packets.leased_ip4),
        (bcmac(), packets.limited_broadcast_ip4),
    ],
    ids=["to the new address", "to all"],
)
def test_a_lease_comes_to_who_has_no_address_yet(core, mac, address):
    core.set_policy(Rule(dir=EGRESS))
    everybody = packets.limited_broadcast_ip4
    asked = Ether(src=ucmac(), dst=packets.broadcast_mac) / IP(
        src=packets.unspecified_ip4, dst=everybody
    )
    assert core.passes(bytes(asked / UDP(sport=68, dport=67) / b"?"))
    offer = Ether(src=packets.gateway_mac, dst=mac) / IP(
        src=packets.gateway_ip4, dst=address
    )
    assert core.passes(bytes(offer / UDP(sport=67, dport=68) / b"!"))
    assert not core.passes(bytes(offer / UDP(sport=53, dport=68) / b"!"))


def hear(core, net, dport=MDNS, sport=CLIENT):
    """A peer asks a group that the workload is in."""
    link = Ether(src=packets.gateway_mac, dst=bcmac())
    asked = link / net.ip(net.peer, GROUPS[net.family]) / udp(sport=sport, dport=dport)
    return core.passes(bytes(asked))


def test_what_was_heard_may_be_answered_to_who_asked_for_ten_seconds(core, net):
    core.set_policy(Rule(dir=INGRESS, id=7))
    reply = net.out(udp(sport=MDNS, dport=CLIENT))
    assert not core.passes(reply)
    assert hear(core, net)
    assert core.passes(reply)
    assert not core.passes(net.out(udp(sport=MDNS, dport=CLIENT), peer=net.other))
    assert not core.passes(net.out(udp(sport=MDNS + 1, dport=CLIENT)))
    assert not core.passes(net.out(udp(sport=MDNS, dport=CLIENT + 1)))
    core.advance(11)
    assert not core.passes(reply)


def test_what_might_not_be_heard_is_not_answered(core, net):
    core.set_policy(Rule(dir=INGRESS, proto=17, ports=(SSDP, SSDP)))
    assert not hear(core, net)
    assert not core.passes(net.out(udp(sport=MDNS, dport=CLIENT)))
    assert hear(core, net, dport=SSDP)
    assert core.passes(net.out(udp(sport=50000, dport=CLIENT)))


def test_questions_of_others_push_none_of_its_own_out(core, net):
    core.set_policy(Rule())
    ask(core, net)
    for sport in range(CLIENT, CLIENT + 33):
        assert hear(core, net, sport=sport)
    core.set_policy(Rule(dir=EGRESS))
    assert core.passes(answer(net))


@pytest.fixture
def workers(core_module):
    """Name: workers. Scope: function. Depends: core_module. Two cores over the same maps, which may ask all."""
    made = [Core(core_module, workers=2) for _ in range(2)]
    made[1].queries, made[1].flows = made[0].queries, made[0].flows
    for one in made:
        one.set_policy(Rule(dir=EGRESS, id=7))
    yield made
    for one in made:
        one.close()


def later(workers, seconds) -> None:
    for one in workers:
        one.advance(seconds)


@pytest.mark.parametrize("port", [MDNS, SSDP])
def test_what_one_worker_asked_is_answered_through_another(workers, net, port):
    asking, other = workers
    assert not other.passes(answer(net, sport=port))
    ask(asking, net, dport=port)
    assert other.passes(answer(net, sport=port))
    assert other.passes(answer(net, sport=port, peer=net.other))
    assert other.passes(answer(net, sport=50000)) == (port == SSDP)
    assert not other.passes(answer(net, sport=port, dport=CLIENT + 1))
    later(workers, 9)
    for flow in asking.flows.values():
        flow.last_seen = asking.tick()
    later(workers, 9)
    assert other.passes(answer(net, sport=port)), "the kernel carried the question on"
    later(workers, 2)
    assert not other.passes(answer(net, sport=port))


def test_what_may_not_be_asked_any_more_is_not_answered_through_another(workers, net):
    asking, other = workers
    ask(asking, net)
    other.set_policy()
    assert not other.passes(answer(net))


def test_an_echo_request_to_all_is_answered_through_another(workers, net):
    asking, other = workers
    assert asking.passes(net.out(net.ping(ident=5), peer=GROUPS[net.family]))
    assert other.passes(net.into(net.pong(ident=5)))
    assert not other.passes(net.into(net.pong(ident=6)))


def test_one_that_is_alone_tells_nobody(core, net):
    core.set_policy(Rule(dir=EGRESS))
    ask(core, net)
    assert core.queries == {}

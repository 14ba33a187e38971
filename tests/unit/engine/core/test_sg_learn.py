"""What a workload was told of a name, it may use at once; nobody else may, and nothing else counts."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from pyctl.model.apps import app_bits
from pyctl.model.policy import Action, NodeRule
from pyctl.model.workload import Mode
from tests.unit.engine.core.dns import (
    AAAA,
    CNAME,
    GRACE,
    HTTPS,
    OTHER_RESOLVER,
    POD,
    PORT_NINE,
    RESOLVER,
    RULES,
    World,
    address,
    answer,
    message,
    name,
    question,
    record,
)
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.wire import NETS, udp

DB = "db.example.org"
FOUR, SIX = NETS


@pytest.fixture(params=NETS, ids=lambda net: f"ipv{net.family}")
def world(request, core_module):
    """Name: world. Scope: function. Depends: core_module. Its peer is known to nobody yet, by each IP version."""
    made = World(core_module, request.param)
    yield made
    made.core.close()


def test_the_first_connection_after_the_answer_passes(world):
    assert not world.connects(sport=1)
    world.learns(DB)
    assert world.connects(sport=2)
    (record_,) = world.known()
    assert world.core.ffi.string(record_.asked) == DB.encode()
    assert world.core.ffi.string(record_.matched) == DB.encode()
    assert (record_.ttl, record_.used, list(record_.groups)[:1]) == (60, 1, [2])
    assert bytes(record_.resolver)[:4] == ip_address(RESOLVER).packed
    assert world.counts() == {"learnt": 1}


def test_what_the_kernel_was_told_of_the_address_is_gone_before_the_answer_is_sent(
    four,
):
    """A denied service lies in the flow map, and a class in seg_classes."""
    core = four.core
    for sport in (1, 2):
        assert not four.connects(sport=sport)
    assert len(core.flows) == 1
    peer = ip_address(four.net.peer)
    assert core.classes.find(peer)
    seen = []
    on_send = core.on_send

    def look(frame):
        seen.append((len(core.flows), core.classes.find(peer)))
        return on_send(frame)

    core.on_send = look
    four.learns(DB)
    assert seen[-1] == (0, 0)
    assert four.connects(sport=1)


def test_a_datagram_flow_that_was_denied_passes_after_the_answer(four):
    assert not four.core.passes(four.net.out(udp()))
    four.learns(DB)
    assert four.core.passes(four.net.out(udp()))


def test_another_port_knows_nothing_of_it(four):
    four.learns(DB)
    assert not four.connects(port=PORT_NINE)
    four.learns(DB, port=PORT_NINE)
    assert four.connects(port=PORT_NINE)
    assert len(four.known(PORT_NINE)) == 1


def test_a_resolver_is_asked_through_the_engine_and_so_is_a_named_address_at_first(
    four,
):
    core = four.core
    four.learns(DB)
    assert core.flows == {}
    assert four.connects()
    assert len(core.flows) == 1
    assert core.services == {}


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("a.cdn.example", True),
        ("b.a.cdn.example", True),
        ("A.CDN.Example", True),
        ("cdn.example", False),
        ("evilcdn.example", False),
        ("a.cdn.example.com", False),
        ("x.db.example.org", False),
        ("a.cdn.example\0", False),
    ],
)
def test_subdomains_are_whole_labels_before_the_name(four, text, allowed):
    four.learns(text)
    assert four.connects() is allowed


def test_a_label_with_a_dot_in_it_is_no_two_labels(four):
    odd = b"\x05a.cdn\x07example\0"
    spoken = struct.pack("!2H", 1, 1)
    assert four.asks(message(0x0100, 7, [odd + spoken]))
    assert four.hears(message(0x8180, 7, [odd + spoken], [address(four.net.peer)]))
    assert not four.connects()
    assert four.counts() == {"learnt": 1}


@pytest.mark.parametrize(
    ("forged", "counted"),
    [
        (lambda ip: answer(DB, [address(ip)], ident=8), "no_question"),
        (lambda ip: answer("d" + DB, [address(ip)]), "no_question"),
        (lambda ip: answer(DB, [address(ip)], kind=AAAA), "no_question"),
        (lambda ip: answer(DB, [address(ip)])[:-1], "malformed"),
        (lambda ip: answer(DB, [address(ip)])[:20], "malformed"),
    ],
)
def test_an_answer_to_another_question_teaches_nothing_and_passes(
    four, forged, counted
):
    assert four.asks(question(DB))
    assert four.hears(forged(four.net.peer))
    assert not four.connects()
    assert four.counts() == {counted: 1}


def test_an_answer_must_keep_the_letters_that_were_asked_with(four):
    assert four.asks(question("dB.ExAmple.Org"))
    assert four.hears(answer(DB, [address(four.net.peer)]))
    assert not four.connects()
    assert four.hears(answer("dB.ExAmple.Org", [address(four.net.peer)]))
    assert four.connects()
    assert four.asks(question(DB, ident=9))
    assert four.hears(answer("DB.example.org", [address("192.0.2.9")], ident=9))
    assert len(four.known()) == 2


def test_nobody_is_answered_twice_and_a_repeated_question_is(four):
    four.learns(DB)
    assert four.hears(answer(DB, [address("192.0.2.8")]))
    assert four.counts() == {"learnt": 1, "no_question": 1}
    for _ in range(2):
        assert four.asks(question(DB))
    for _ in range(2):
        assert four.hears(answer(DB, [address("192.0.2.8")]))
    assert four.counts() == {"learnt": 3, "no_question": 1}


def test_an_answer_that_comes_too_late_teaches_nothing(four):
    assert four.asks(question(DB))
    four.core.advance(20)
    assert four.asks(question("other.example"))
    four.core.advance(15)
    assert four.hears(answer(DB, [address(four.net.peer)]))
    assert four.counts() == {"no_question": 1}


def test_an_answer_from_another_address_is_another_flow(four):
    assert four.asks(question(DB))
    assert not four.hears(answer(DB, [address(four.net.peer)]), peer=OTHER_RESOLVER)
    assert not four.connects()


def test_a_resolver_that_only_the_mode_lets_pass_teaches_nothing(core_module):
    world = World(core_module, mode=Mode.MONITOR)
    world.learns(DB, peer=OTHER_RESOLVER)
    assert world.counts() == {"wrong_resolver": 1}
    world.learns(DB)
    assert len(world.known()) == 1
    world.core.close()


def test_a_name_that_leads_to_another_counts_and_so_does_the_last_one(four):
    """In any order, and whichever is the one that is allowed."""
    last = name("lb.elsewhere.example")
    chain = [
        record(CNAME, name("a.cdn.example"), ttl=300),
        record(CNAME, last, owner=name("a.cdn.example"), ttl=20),
        address("192.0.2.1", owner=last),
        address("192.0.2.2", owner=name("unrelated.example")),
    ]
    for records in (chain, chain[::-1]):
        four.looks_up("www.shop.example", *records)
        (known,) = four.known()
        assert four.core.ffi.string(known.matched) == b"a.cdn.example"
        assert four.core.ffi.string(known.asked) == b"www.shop.example"
        assert known.ttl == 20
    assert four.connects(peer="192.0.2.1")
    assert not four.connects(peer="192.0.2.2")


def test_an_answer_in_fragments_is_read_as_a_whole(four):
    ips = [f"10.1.{i // 250}.{i % 250 + 1}" for i in range(200)]
    assert four.asks(question(DB))
    whole = four.frame(answer(DB, [address(ip) for ip in ips]), back=True)
    pieces = FOUR.fragments(whole, 600)
    for piece in (*pieces[1:], pieces[0]):
        four.core.feed(piece)
    assert four.counts() == {"learnt": 200}
    assert four.connects(peer=ips[-1])


def test_several_datagrams_in_one_frame_are_read_one_by_one(four):
    assert four.asks(question(DB, ident=1))
    assert four.asks(question(DB, ident=2))
    both = [answer(DB, [address(f"192.0.2.{i}")], ident=i) for i in (1, 2)]
    size = len(both[0])
    frame = four.frame(b"".join(both), back=True)
    vnet = struct.pack("=BBHHHH", 1, 5, 42, size, 34, 6)
    four.core.feed(frame, vnet=vnet)
    assert four.counts() == {"learnt": 2}


def test_hints_of_https_records_are_addresses(world):
    """With a name of its own, or the asked one."""
    packed = ip_address(world.net.peer).packed
    key = 4 if world.net.family == 4 else 6
    params = struct.pack("!2H", 1, 3) + b"\2h2" + struct.pack("!2H", key, len(packed))
    for target in (b"\0", name("svc.example")):
        data = struct.pack("!H", 1) + target + params + packed
        world.looks_up(DB, record(HTTPS, data), kind=HTTPS)
        (known,) = world.known()
        assert known.is_hint
    assert world.connects()


def test_time_is_over_after_ttl_and_grace(four):
    four.learns(DB, ttl=30)
    four.core.advance(30 + GRACE - 1)
    assert four.connects(sport=1)
    four.core.advance(200)
    assert not four.connects(sport=2)
    assert four.known() == []
    assert four.counts() == {"learnt": 1, "expired": 1}
    assert four.core.classes.find(ip_address(four.net.peer))


def test_while_a_flow_lives_the_address_keeps_its_name_and_nothing_is_cut(four):
    four.learns(DB, ttl=1)
    connection = four.connection().established(four.core)
    four.core.advance(1000)
    assert four.known()[0].used
    assert four.connects(sport=2)
    four.allow(*four.names)
    assert four.core.passes(connection.segment(0, "PA", b"more"))


def test_an_answer_again_extends_the_time(four):
    four.learns(DB, ttl=1)
    four.core.advance(100)
    four.learns(DB, ttl=100)
    four.core.advance(200)
    assert four.connects()
    assert len(four.known()) == 1


def test_a_policy_with_other_names_takes_effect_at_once(four):
    four.learns("late.example")
    assert not four.connects()
    assert four.known()[0].group_count == 0
    four.allow("late.example")
    assert four.core.classes.find(ip_address(four.net.peer)) == 0
    assert four.connects()
    four.allow("other.example")
    assert four.core.classes.find(ip_address(four.net.peer))
    assert not four.connects(sport=2)


def test_a_port_without_a_rule_for_names_is_not_listened_to(four):
    four.allow(rules=(*RULES[:1], NodeRule(3, POD, 0, ALL, Action.ALLOW)))
    four.learns(DB)
    assert four.known() == []
    assert len(four.core.flows) == 1


def rule_of(apps: tuple[str, ...], group: int, number: int = 4, **said) -> NodeRule:
    return NodeRule(
        number, POD, group, ALL, Action.ALLOW, apps=app_bits(apps), key=number, **said
    )


def test_a_rule_that_asks_for_dns_allows_resolvers_at_any_port(four):
    four.allow(*four.names, rules=(*RULES, rule_of(("DNS",), 3)))
    four.learns(DB, dport=5300)
    assert four.connects()
    assert len(four.core.flows) == 1


@pytest.mark.parametrize(
    "rules",
    [
        [rule_of((), 3)],
        [rule_of(("SIP",), 3, 5), rule_of((), 3)],
        [rule_of(("DNS",), 3, app_unknown=Action.ALLOW)],
    ],
)
def test_whom_a_port_may_send_anything_is_no_resolver_for_what_looks_like_dns(
    four, rules
):
    """Else two that may talk by any UDP port made each address one of an allowed name."""
    four.allow(*four.names, rules=(*RULES, *rules))
    four.learns(DB, dport=5300)
    assert not four.connects()
    assert four.known() == []

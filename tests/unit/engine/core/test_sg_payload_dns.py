"""Threats in DNS messages, of datagrams and of connections."""

from __future__ import annotations

import hashlib

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR

from tests.unit.engine.core.harness import ALLOW, Rule
from tests.unit.engine.core.threats import alert, drop, names, payload, told
from tests.unit.engine.core.wire import udp

ALL = ("dns_loop", "dns_zone_transfer", "dns_null", "dns_tunnel")


def query(name: str, kind: str = "A") -> bytes:
    return bytes(DNS(id=7, rd=1, qd=DNSQR(qname=name, qtype=kind)))


def head(answers: int = 0, *, flags: int = 0) -> bytes:
    counts = (1, answers, 0, 0)
    return b"\0\x07" + flags.to_bytes(2) + b"".join(one.to_bytes(2) for one in counts)


def chain(pointers: int) -> bytes:
    """An answer whose record's name goes over so many pointers, each to the one before it."""
    asked, begins = b"\x01a\0\0\x10\0\x01", 12 + 7 + 11
    places = [12, *(begins + 2 * at for at in range(pointers - 2))]
    data = b"".join((0xC000 | place).to_bytes(2) for place in places)
    texts = b"\0\0\x10\0\x01" + bytes(4) + len(data).to_bytes(2) + data
    last = (0xC000 | begins + 2 * (pointers - 2)).to_bytes(2)
    return head(2, flags=0x8000) + asked + texts + last + b"\0\x01\0\x01" + bytes(6)


def asked(core, net, message: bytes, dport: int = 53) -> list[str]:
    core.feed(net.out(udp(dport=dport, payload=message)))
    return names(core)


@pytest.mark.parametrize(
    ("message", "threats"),
    [
        (query("example.org"), []),
        (query("example.org", "AXFR"), ["dns_zone_transfer"]),
        (query("example.org", "IXFR"), ["dns_zone_transfer"]),
        (query("example.org", "NULL"), ["dns_null"]),
        (query("example.org", "ALL"), []),
        (query("example.org", "TXT"), []),
        (head() + b"\xc0\x0c\0\x01\0\x01", ["dns_loop"]),
        (head() + b"\x01a\xc0\x0c\0\x01\0\x01", ["dns_loop"]),
        (head() + b"\xc0\x0e\x01a\0\0\x01\0\x01", ["dns_loop"]),
        (chain(64), ["dns_loop"]),
        (chain(63), []),
        (bytes(DNS(id=7, qr=1, qd=DNSQR(qname="a.b"), an=DNSRR(rrname="a.b"))), []),
        (
            head(1, flags=0x8000) + b"\x01a\0\0\x01\0\x01\xc0\x13" + bytes(10),
            ["dns_loop"],
        ),
        (b"\0" * 11, []),
        (b"\xff" * 200, []),
    ],
)
def test_messages(core, net, message, threats):
    core.set_policy(Rule(ALLOW), threats=alert(*ALL))
    assert asked(core, net, message) == threats
    assert asked(core, net, message, dport=5353) == []


@pytest.mark.parametrize("app", ["DNS", None])
def test_messages_of_a_connection(core_module, app):
    asked = query("example.org", "AXFR")
    sent = len(asked).to_bytes(2) + asked
    for cut in range(len(sent)):
        assert payload(core_module, sent[:cut], b"", app)[0] == []
    found = payload(core_module, sent, b"", app)[0]
    assert found == (["dns_zone_transfer"] if app else [])


def tunnel(number: int, domain: str = "evil.example") -> bytes:
    data = hashlib.sha256(str(number).encode()).hexdigest()[:48]
    return query(f"{data}.t.{domain}")


def test_sixty_names_of_data_are_a_tunnel_and_forty_none(core, net):
    core.set_policy(Rule(ALLOW), threats=alert("dns_tunnel"))
    for number in range(40):
        assert asked(core, net, tunnel(number)) == []
    found = [name for at in range(40, 60) for name in asked(core, net, tunnel(at))]
    assert found == ["dns_tunnel"]


def test_the_same_name_again_and_again_is_none(core, net):
    core.set_policy(Rule(ALLOW), threats=alert("dns_tunnel"))
    for _ in range(100):
        assert asked(core, net, tunnel(1)) == []


def test_names_of_many_domains_are_none(core, net):
    core.set_policy(Rule(ALLOW), threats=alert("dns_tunnel"))
    for at in range(100):
        assert asked(core, net, tunnel(at, f"d{at}.example")) == []


@pytest.mark.parametrize(
    "name",
    [
        "host{}.example.org",
        "e{}.dscb.akamaiedge.net",
        "{}.1.168.192.zen.spamhaus.org",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{}.example.org",
        "{}.example",
    ],
)
def test_a_hundred_usual_names_are_none(core, net, name):
    core.set_policy(Rule(ALLOW), threats=alert("dns_tunnel"))
    for at in range(100):
        assert asked(core, net, query(name.format(at))) == []


def test_a_dropped_question_does_not_pass_and_the_next_does(core, net):
    core.set_policy(Rule(ALLOW), threats=drop("dns_null"))
    assert core.feed(net.out(udp(dport=53, payload=query("a.b", "NULL")))) == []
    assert told(core) == [("dns_null", "threat", 1)]
    assert core.passes(net.out(udp(dport=53, payload=query("a.b"))))


def test_a_flow_of_dns_stays_with_the_engine_while_it_is_looked_at(core, net):
    core.set_policy(Rule(ALLOW), threats=alert("dns_null"))
    core.feed(net.out(udp(dport=53, payload=query("a.b"))))
    assert core.flows == {}
    core.feed(net.out(udp(dport=54, payload=query("a.b"))))
    assert len(core.flows) == 1
    core.flows.clear()
    core.set_policy(Rule(ALLOW), threats=alert("land"))
    core.feed(net.out(udp(dport=53, payload=query("a.b"))))
    assert len(core.flows) == 1

"""Rules to groups of names: the name in the traffic must be one of the group, and what shows none is not delayed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pyctl.model.policy import Action, Condition, NodeRule
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import (
    NOISE,
    SSH_CLIENT,
    SSH_SERVER,
    Wire,
    always,
    asks_for,
)
from tests.unit.engine.core.harness import DROP, VIOLATION
from tests.unit.engine.core.hello import (
    BIG,
    hello,
    records,
    server_hello,
    sni,
    versions,
)
from tests.unit.engine.core.http2 import Speaker, asks, connection
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.test_sg_judge_http import OK, get, told
from tests.unit.engine.core.wire import NETS

NAME = 7
PENDING, DECIDED, OVER, REQUESTS = 1, 2, 3, 4
GOOD, EVIL = b"a.example", b"b.example"


def names(*patterns: str) -> Condition:
    return Condition(tuple((NAME, one.encode()) for one in sorted(patterns)))


def verifies(*patterns: str, number: int = 7, **options: Any) -> NodeRule:
    """A rule to a group of these names."""
    return NodeRule(
        number,
        0,
        0,
        ALL,
        Action.ALLOW,
        key=100 + number,
        condition=names(*(patterns or ("a.example", "*.web.example"))),
        **options,
    )


@pytest.fixture(params=NETS, ids=lambda net: f"ipv{net.family}")
def wire(node, request):
    """A connection after its handshake, to an address that is allowed by names."""
    node.judge_by(verifies())
    return Wire(node.core, request.param).opens()


def tls(name: bytes, *more: bytes) -> bytes:
    return hello(sni(name), versions(0x304), *more)


def finish(wire: Wire) -> None:
    """The rest of a handshake, until all that was looked at is acknowledged."""
    wire.says(1, server_hello())
    wire.acknowledges(0)
    wire.says(0, b"\x14\x03\x03\0\1\1")
    wire.acknowledges(1)
    wire.core.advance(0.01)
    wire.says(1, b"\x17\x03\x03\0\4abcd")
    wire.acknowledges(0)


@pytest.mark.parametrize(
    "name", [GOOD, b"A.Example", b"a.example.", b"x.web.example", b"X.y.WEB.example"]
)
def test_a_name_of_the_group_passes_and_goes_to_the_kernel(wire, name):
    wire.says(0, tls(name))
    assert wire.across[0] == tls(name)
    finish(wire)
    assert wire.core.flows
    assert (wire.app, wire.session.rule_id) == (("TLS", 2), 7)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (EVIL, "b.example"),
        (b"web.example", "web.example"),
        (b"aa.example", "aa.example"),
        (b"xa.example", "xa.example"),
        (b"evilweb.example", "evilweb.example"),
        (b"a.example.org", "a.example.org"),
        (b"a.example\0", ""),
        (b"a.example..", ""),
    ],
)
@pytest.mark.parametrize("size", [1400, 40])
def test_of_another_name_nothing_crosses_and_it_is_told(wire, name, shown, size):
    sent = tls(name, BIG)
    for at in range(0, len(sent), size):
        wire.says(0, sent[at : at + size])
    assert wire.across == [b"", b""]
    assert wire.resets
    (event,) = told(wire.core)
    assert event[:3] == ("name_mismatch", 0, shown)


def test_without_a_name_tls_goes_to_the_address_that_was_looked_up(wire):
    wire.says(0, hello(versions(0x304)))
    finish(wire)
    assert wire.core.flows
    assert wire.resets == 0


def test_two_names_are_none(wire):
    wire.says(0, hello(sni(GOOD), sni(EVIL)))
    assert wire.across == [b"", b""]
    assert told(wire.core)[0][0] == "name_mismatch"


def test_a_hello_for_encryption_is_judged_by_its_outer_name(wire):
    ech = b"\xfe\x0d\0\4\0\1\2\3"
    wire.says(0, tls(GOOD, ech))
    assert wire.across[0] == tls(GOOD, ech)


def test_the_second_hello_must_have_the_name_too(wire):
    wire.says(0, tls(GOOD))
    wire.says(1, server_hello(retry=True))
    assert wire.across[0] == tls(GOOD)
    wire.says(0, tls(EVIL))
    assert wire.across[0] == tls(GOOD)
    assert wire.resets
    assert told(wire.core)[0][0] == "name_mismatch"


def test_half_a_hello_waits_and_is_denied_in_the_end(wire):
    wire.says(0, tls(GOOD)[:60])
    assert wire.across == [b"", b""]
    wire.waits(4)
    assert wire.across == [b"", b""]
    assert wire.resets
    assert told(wire.core)[0][:3] == ("name_mismatch", 0, "")


@pytest.mark.parametrize(
    "before",
    [
        b"\x15\x03\x01\0\2\1\0",
        b"\x14\x03\x03\0\1\1",
        b"\x16\x03\x01\0\0",
        b"\x17\x03\x01\0\1x",
    ],
    ids=["alert", "cipher", "empty", "data"],
)
def test_what_a_server_may_skip_hides_no_name(wire, before):
    wire.says(0, before)
    wire.says(0, tls(EVIL))
    wire.waits(4)
    assert EVIL not in wire.across[0]
    assert wire.resets


def request(host: str, path: str = "/") -> bytes:
    return get(path, host=host)


@pytest.mark.parametrize("host", ["a.example", "A.EXAMPLE:8080", "a.example."])
def test_each_request_must_name_the_group(wire, host):
    for _ in range(2):
        wire.says(0, request(host))
        wire.says(1, OK)
    assert wire.across == [request(host) * 2, OK * 2]
    assert (wire.session.look, wire.session.rule_id) == (REQUESTS, 7)
    wire.says(0, request("b.example", "/x?secret=1"))
    assert wire.across[0] == request(host) * 2
    assert wire.resets == 2
    assert told(wire.core) == [("name_mismatch", 0, "GET b.example/x", 1)]


@pytest.mark.parametrize(
    "sent",
    [
        request("b.example"),
        request("a.example") + request("b.example"),
        get("http://b.example/x", host="b.example"),
        get("http://b.example/x", host="a.example"),
        b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        b"\r\n" + request("b.example"),
        b"\n" + request("b.example"),
        b" " + request("b.example"),
        b"GET  / HTTP/1.1\r\nHost: b.example\r\n\r\n",
        b"GET\t/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
        b"get / http/1.1\r\nHost: b.example\r\n\r\n",
        b"GET / HTTP/1.1\nHost: b.example\n\n",
        get("/", host="192.0.2.77"),
        get("/", host="[2001:db8::77]"),
        get("b.example:443", method="CONNECT", host="b.example:443"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1400])
def test_of_another_host_no_whole_request_crosses(wire, sent, size):
    for at in range(0, len(sent), size):
        wire.says(0, sent[at : at + size])
    wire.waits(4)
    # No server acts on a part of a head.
    left = wire.across[0].removeprefix(request("a.example"))
    assert b"\r\n\r\n" not in left
    assert b"\n\n" not in left
    assert wire.resets


def test_the_address_itself_is_no_other_name(wire):
    host = wire.net.peer if wire.net.family == 4 else f"[{wire.net.peer}]"
    wire.says(0, request(host))
    wire.says(0, b"GET / HTTP/1.0\r\n\r\n")
    assert wire.across[0] == request(host) + b"GET / HTTP/1.0\r\n\r\n"
    assert wire.resets == 0


def test_who_speaks_first_is_a_server_without_a_name_and_nothing_waits(wire):
    assert wire.says(1, SSH_SERVER)
    assert wire.says(0, SSH_CLIENT)
    wire.acknowledges(0)
    wire.acknowledges(1)
    wire.core.advance(0.01)
    wire.says(1, NOISE)
    assert wire.across == [SSH_CLIENT, SSH_SERVER + NOISE]
    assert wire.core.flows


@pytest.mark.parametrize(
    "sent",
    [NOISE, b"\0\0\0\x08\x04\xd2\x16\x2f", b"hello\n", b'{"a": 1}', b"GET /\r\n"],
)
def test_what_is_neither_tls_nor_http_passes_at_once(wire, sent):
    assert wire.says(0, sent)
    assert wire.across[0] == sent
    assert wire.session.look in {DECIDED, OVER}
    assert wire.session.rule_id == 7


@pytest.mark.parametrize("sent", [b"ping", b"GET /index", b"\x16"])
def test_what_may_become_either_passes_and_is_still_looked_at(wire, sent):
    assert wire.says(0, sent)
    assert wire.session.look == PENDING
    wire.waits(10)
    assert wire.resets == 0
    assert wire.says(1, b"pong")
    assert wire.session.look in {DECIDED, OVER}
    assert wire.across == [sent, b"pong"]


def test_a_name_that_is_not_the_first_rules_may_be_anothers(node, net):
    node.judge_by(verifies("a.example"), verifies("b.example", number=8))
    wire = Wire(node.core, net).opens()
    wire.says(0, tls(EVIL))
    assert wire.across[0] == tls(EVIL)
    finish(wire)
    assert wire.session.rule_id == 8


def test_another_reason_to_deny_is_told_as_such(node, net):
    denies = asks_for("TLS", action=Action.DENY, number=5)
    node.judge_by(denies, verifies())
    wire = Wire(node.core, net).opens()
    wire.says(0, tls(GOOD))
    assert told(wire.core)[0][:2] == ("policy_deny", 5)


def test_a_rule_that_denies_behind_it_denies_for_the_name(node, net):
    node.judge_by(verifies(), always(Action.DENY))
    wire = Wire(node.core, net).opens()
    wire.says(0, tls(EVIL))
    assert told(wire.core)[0][:3] == ("name_mismatch", 9, "b.example")


def test_a_rule_for_applications_asks_for_the_name_too(node, net):
    rule = replace(asks_for("TLS", "SSH"), condition=names("a.example"))
    node.judge_by(rule)
    good, evil, shell = (
        Wire(node.core, net, sport=port).opens() for port in (40001, 40002, 40003)
    )
    good.says(0, tls(GOOD))
    evil.says(0, tls(EVIL))
    shell.says(1, SSH_SERVER)
    shell.says(0, SSH_CLIENT)
    assert good.across[0] == tls(GOOD)
    assert evil.across[0] == b""
    assert shell.across == [SSH_CLIENT, SSH_SERVER]


def test_a_mode_that_only_records_tells_and_lets_pass(node, net):
    node.judge_by(verifies(), mode=Mode.MONITOR)
    wire = Wire(node.core, net).opens()
    wire.says(0, tls(EVIL))
    assert wire.across[0] == tls(EVIL)
    assert told(wire.core, VIOLATION)[0][:3] == ("name_mismatch", 0, "b.example")
    plain = Wire(node.core, net, sport=40001).opens()
    plain.says(0, b"ping")
    plain.waits(5)
    assert not told(wire.core, VIOLATION)
    assert not told(wire.core, DROP)


@pytest.mark.parametrize(
    ("host", "passes"), [("a.example", True), ("b.example", False)]
)
def test_each_request_of_http2_must_name_the_group(wire, host, passes):
    speaker = Speaker()
    first = connection() + speaker.opens(asks("/", authority=host))
    wire.says(0, first)
    assert wire.across[0] == (first if passes else b"")
    if passes:
        wire.says(0, speaker.opens(asks("/", authority="b.example")))
        assert wire.across[0] == first
    assert told(wire.core)[0][:3] == ("name_mismatch", 0, "GET b.example/")


def test_records_of_one_byte_show_the_name(wire):
    sent = records(tls(EVIL)[5:], 1)
    wire.says(0, sent)
    assert wire.across[0] == b""
    assert told(wire.core)[0][2] == "b.example"

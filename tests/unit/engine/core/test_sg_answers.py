"""What a client's first bytes prove is nothing where the server is of another kind."""

from __future__ import annotations

import pytest

from pyctl import abi
from pyctl.model.policy import Action
from tests.unit.engine.core.app_flow import DECIDED, GET, Wire, asks_for
from tests.unit.engine.core.harness import DROP
from tests.unit.engine.core.hello import hello, sni
from tests.unit.engine.core.recognise import (
    CERTAIN,
    UDP,
    UNKNOWN,
    Recogniser,
    Sample,
    told,
)

H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
H2 += b"\0\0\x01\x01\x05\0\0\0\x01\x82"
ASKS = {
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "HTTP2": H2,
    "TLS": hello(sni(b"a.example")),
    "SSH": b"SSH-2.0-a\r\n",
    "RTSP": b"DESCRIBE rtsp://a/ RTSP/1.0\r\n\r\n",
    "SIP": b"OPTIONS sip:a SIP/2.0\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "Memcached": b"stats\r\n",
    "PostgreSQL": b"\0\0\0\x08\x04\xd2\x16\x2f",
    "AMQP": b"AMQP\0\0\x09\x01",
    "MQTT": b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0",
    "Kafka": b"\0\0\0\x0b\0\x12\0\0\0\0\0\x01\0\x01a",
    "BitTorrent": b"\x13BitTorrent protocol" + bytes(48),
    "syslog": b"<13>hello\n",
}
"""A client's first bytes, which are proof."""
ANSWERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "HTTP2": b"\0\0\0\x04\0\0\0\0\0",
    "TLS": b"\x15\x03\x03\0\x02\x02\x28",
    "SSH": b"SSH-2.0-b\r\n",
    "RTSP": b"RTSP/1.0 404 \r\n",
    "SIP": b"SIP/2.0 200 OK\r\n",
    "Redis": b"-ERR unknown command 'x'\r\n",
    "Memcached": b"ERROR\r\n",
    "PostgreSQL": b"E\0\0\0\x20",
    "AMQP": b"\1\0\0\0\0\1",
    "MQTT": b"\x20\x02\0\0",
    "Kafka": b"\0\0\0\x08\0\0\0\x01",
    "BitTorrent": b"\x13BitTorrent protocol",
    "SMTP": b"220 a ESMTP\r\n",
    "POP3": b"+OK ready\r\n",
    "IMAP": b"* OK ready\r\n",
    "FTP": b"500 what\r\n",
}
"""A server's first bytes."""
FITS = {
    ("HTTP2", "HTTP"),
    ("PostgreSQL", "SSH"),
    ("PostgreSQL", "SIP"),
    ("Kafka", "HTTP2"),
}
"""A server without HTTP/2 says so in HTTP/1. The others end a connection that does not begin as theirs does."""


@pytest.mark.parametrize("app", ASKS)
def test_the_answer_of_another_one_makes_it_unknown(core_module, app):
    for other, answer in ANSWERS.items():
        fits = other == app or (app, other) in FITS
        said = told(core_module, Sample(ASKS[app], answer))
        assert (said == (app, CERTAIN)) == fits, other
        assert fits or CERTAIN not in said


@pytest.mark.parametrize("app", ASKS)
def test_until_it_answers_it_is_certain(core_module, app):
    one = Recogniser(core_module)
    assert one.ask(ASKS[app]) == (app, CERTAIN)
    assert not one.known.answered
    answer = ANSWERS.get(app, b"")
    for end in range(len(answer) + 1):
        assert one.ask(ASKS[app], answer[:end]) == (app, CERTAIN)
    assert one.known.answered == (app in ANSWERS)


@pytest.mark.parametrize("app", ASKS)
def test_byte_by_byte_it_is_the_same(core_module, app):
    for other, answer in ANSWERS.items():
        if other == app or (app, other) in FITS:
            continue
        one = Recogniser(core_module)
        for end in range(len(answer) + 1):
            said = one.ask(ASKS[app], answer[:end])
        assert said == UNKNOWN, other


def test_of_datagrams_the_first_one_decides_alone(core_module):
    asks = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01"
    assert told(core_module, Sample(asks, b"-ERR\r\n", UDP)) == ("DNS", CERTAIN)


@pytest.fixture
def out(node, net):
    """A connection after its handshake, for which a rule wants HTTP."""
    node.judge_by(asks_for("HTTP"))
    return Wire(node.core, net).opens()


ERROR = b"-ERR unknown command\r\n"


def test_the_answer_of_another_application_does_not_cross_and_ends_the_flow(out):
    out.says(0, GET)
    out.acknowledges(1)
    assert (out.core.flows, out.session.look) == ({}, DECIDED)
    out.core.events()
    out.says(1, ERROR)
    assert out.across == [GET, b""]
    assert out.resets == 2
    (drop,) = [event for event in out.core.events() if event.kind == DROP]
    assert abi.REASONS[drop.reason].name == "default_deny"
    assert drop.app == out.core.lib.SG_APP_UNKNOWN
    out.says(0, b"SET a b\r\n")
    assert out.across == [GET, b""]


def test_nor_does_it_in_pieces_or_late(out):
    out.says(0, GET)
    out.acknowledges(1)
    out.says(0, GET + bytes(20000))
    out.acknowledges(1)
    assert out.core.flows == {}
    out.waits(25)
    out.connection.seq[1] += 5
    out.says(1, ERROR[5:])
    out.connection.seq[1] -= len(ERROR)
    out.says(1, ERROR[:5])
    assert out.across[1] == ERROR[5:], "behind a hole, which is never filled"
    assert out.resets == 2


def test_where_what_is_unknown_may_pass_the_answer_does(node, net):
    node.judge_by(asks_for("HTTP", unknown=Action.ALLOW))
    wire = Wire(node.core, net).opens()
    wire.says(0, GET)
    wire.says(1, ERROR)
    wire.acknowledges(0)
    assert wire.across == [GET, ERROR]
    assert wire.app == ("unknown", 0)
    assert len(node.core.flows) == 1

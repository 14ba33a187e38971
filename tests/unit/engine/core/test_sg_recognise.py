"""Who is told of several, what is never told, and what goes before an application's first byte."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.recognise import (
    CERTAIN,
    GUESS,
    TCP,
    UDP,
    UNKNOWN,
    Recogniser,
    Sample,
    assert_recognised,
    told,
)

REQUEST = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\0\x0c" + bytes(12)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n",
        b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 80\r\n",
        b"PROXY UNKNOWN\r\n",
        PROXY_V2,
        PROXY_V2[:12] + b"\x20\0\0\0",
    ],
)
def test_a_header_of_a_load_balancer_is_skipped(core_module, header):
    assert_recognised(core_module, "HTTP", Sample(header + REQUEST))
    assert_recognised(core_module, "SSH", Sample(header + BANNER, BANNER))


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP5 192.0.2.1 192.0.2.2 40000 80\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\n",
        b"PROXY TCP4 " + b"1" * 120 + b"\r\n",
        PROXY_V2[:12] + b"\x31\0\0\0",
        PROXY_V2[:11] + b"\r\x20\0\0\0",
    ],
)
def test_what_only_looks_like_one_is_not(core_module, header):
    assert told(core_module, Sample(header + REQUEST)) != ("HTTP", CERTAIN)


def test_a_header_that_is_not_whole_says_nothing(core_module):
    for cut in range(1, len(PROXY_V2)):
        assert told(core_module, Sample(PROXY_V2[:cut])) == (None, None)


def test_no_byte_says_nothing(core_module):
    assert told(core_module, Sample(b"")) == (None, None)


def test_bytes_that_nobody_takes_are_unknown(core_module):
    assert told(core_module, Sample(b"\xf3" * 64, b"\xf4" * 64)) == UNKNOWN


def test_what_is_still_open_when_both_sides_are_full_is_unknown(core_module):
    head = b"GET /" + b"a" * 20000
    for answers in (b"", b"x"):
        said = told(core_module, Sample(head, answers))
        assert CERTAIN not in said
        assert said != UNKNOWN
    assert told(core_module, Sample(head, b"x" * 16384)) == UNKNOWN


def test_a_datagram_that_its_answer_does_not_explain_is_unknown(core_module):
    assert told(core_module, Sample(b"\xf3", b"\xf4", UDP)) == UNKNOWN


def test_who_said_no_is_not_asked_again(core_module):
    one = Recogniser(core_module)
    one.ask(b"\x16\x03\x01")
    assert one.known.open & 1 << 5
    assert not one.known.open & 1 << 1
    one.ask(b"GET / HTTP/1.1\r\n")
    assert not one.known.open & 1 << 1


def test_what_is_certain_stays(core_module):
    one = Recogniser(core_module)
    assert one.ask(b"", BANNER) == ("SSH", CERTAIN)
    assert one.known.open == 1 << 9
    assert one.ask(REQUEST, BANNER, TCP) == ("SSH", CERTAIN)


def test_a_side_that_contradicts_the_other_proves_nothing(core_module):
    assert told(core_module, Sample(b"\xf3" * 64, BANNER)) != ("SSH", CERTAIN)


def test_an_answer_alone_is_a_guess(core_module):
    assert told(core_module, Sample(b"", b"HTTP/1.1 200 OK\r\n")) == ("HTTP", GUESS)

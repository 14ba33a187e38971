"""Bodies of HTTP/1 under sensors: of answers as of requests, in chunks, compressed, and what is not decoded."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from pyctl import abi
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import Wire
from tests.unit.engine.core.sensors import ALERT, hits, opened, pattern, sensor, shows
from tests.unit.engine.core.test_sg_unzip import brotli

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
BODY = b"the number is 4111 1111 1111 1111, says nobody"
END = BODY.index(b",")
NEAR = BODY.replace(b"1111,", b"1112,")
CARD = sensor(
    "cards", pattern(r"\b4\d{3}(?:[ -]?\d){9,15}\b", "body", confirm="card", id="card")
)
FORM = b"application/x-www-form-urlencoded"


def answer(body: bytes, *lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([first, *lines, length, b"", body])


def chunked(body: bytes, *lines: bytes, size: int = 7) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)
    head = [b"HTTP/1.1 200 OK", *lines, b"Transfer-Encoding: chunked", b"", coded]
    return b"\r\n".join(head) + b"0\r\n\r\n"


def to_the_end(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", body])


CODINGS = {
    "plain": (lambda body: body, []),
    "gzip": (gzip.compress, [b"Content-Encoding: gzip"]),
    "deflate": (zlib.compress, [b"Content-Encoding: deflate"]),
    "br": (brotli, [b"Content-Encoding: br"]),
}
FRAMINGS = {"length": answer, "chunks": chunked, "to the end": to_the_end}


@pytest.fixture
def wire(node, net) -> Wire:
    """A connection under a sensor for cards in bodies that drops."""
    shows(node, CARD)
    return opened(node, net)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_card_in_an_answer_ends_the_flow(wire, coding, framing):
    code, lines = CODINGS[coding]
    data = FRAMINGS[framing](code(BODY), *lines)
    wire.says(0, GET)
    wire.says(1, data)
    (hit,) = hits(wire.core)
    assert (hit.name, hit.dropped, hit.side, hit.offset) == ("cards/card", True, 1, END)
    assert wire.across[1] == b""
    assert abi.REASONS[wire.session.reason].name == "sensor"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_it_is_found_byte_by_byte_and_its_last_byte_does_not_pass(
    wire, coding, framing
):
    code, lines = CODINGS[coding]
    data = FRAMINGS[framing](code(BODY), *lines)
    wire.says(0, GET)
    for byte in data:
        wire.says(1, bytes([byte]))
    assert [hit.name for hit in hits(wire.core)] == ["cards/card"]
    assert len(wire.across[1]) < len(data)
    assert data.startswith(wire.across[1])


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_near_miss_passes_at_every_cut(node, net, coding, framing):
    code, lines = CODINGS[coding]
    data = FRAMINGS[framing](code(NEAR), *lines)
    shows(node, CARD)
    for cut in range(1, len(data), 5):
        wire = opened(node, net, sport=40000 + cut)
        wire.says(0, GET)
        wire.says(1, data[:cut])
        wire.says(1, data[cut:])
        assert wire.across[1] == data
    assert not hits(node.core)


def test_answers_are_found_behind_others_and_none_of_them_joins_two(wire):
    one, two = BODY[:24], BODY[24:]
    wire.says(0, GET + HEAD + GET + GET)
    heads = answer(b"").replace(b"Length: 0", b"Length: 999")
    wire.says(1, answer(one) + heads + answer(two))
    assert not hits(wire.core)
    wire.says(1, answer(BODY))
    assert len(hits(wire.core)) == 1


def test_a_card_at_a_body_s_end_is_found_before_its_last_byte_passes(wire):
    data = answer(BODY[:END])
    wire.says(0, GET)
    wire.says(1, data[:-1])
    assert not hits(wire.core)
    wire.says(1, data[-1:])
    assert len(hits(wire.core)) == 1
    assert wire.across[1] == data[:-1]


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_of_a_request_is_decoded_too(wire, coding):
    code, lines = CODINGS[coding]
    body = code(BODY)
    head = [b"POST / HTTP/1.1", b"Host: a", *lines, b"Content-Length: %d" % len(body)]
    wire.says(0, b"\r\n".join([*head, b"", b""]))
    wire.says(0, body)
    (hit,) = hits(wire.core)
    assert (hit.name, hit.dropped, hit.side) == ("cards/card", True, 0)


def test_a_compressed_form_is_decoded_twice(wire):
    body = gzip.compress(b"a=b&c=4111%201111%201111%201111&d=e")
    lines = [b"Content-Type: " + FORM, b"Content-Encoding: gzip"]
    head = [b"POST / HTTP/1.1", b"Host: a", *lines, b"Content-Length: %d" % len(body)]
    wire.says(0, b"\r\n".join([*head, b"", body]))
    assert [hit.name for hit in hits(wire.core)] == ["cards/card"]


def test_a_bomb_ends_the_flow(wire):
    data = answer(gzip.compress(bytes(20 << 20)), b"Content-Encoding: gzip")
    wire.says(0, GET)
    for at in range(0, len(data), 1400):
        wire.says(1, data[at : at + 1400])
    (hit,) = hits(wire.core)
    assert (hit.name, hit.dropped, hit.severity) == ("@body/bomb", True, 3)
    assert len(wire.across[1]) < len(data)


def test_a_bomb_is_only_told_where_hits_are(node, net):
    shows(node, CARD, action=ALERT)
    wire = opened(node, net)
    data = answer(gzip.compress(bytes(20 << 20)), b"Content-Encoding: gzip")
    wire.says(0, GET)
    for at in range(0, len(data), 1400):
        wire.says(1, data[at : at + 1400])
    (hit,) = hits(wire.core)
    assert (hit.name, hit.dropped) == ("@body/bomb", False)
    assert wire.across[1] == data


@pytest.mark.parametrize("coding", [b"zstd", b"gzip, br"])
def test_what_is_not_decoded_is_told_and_scanned_as_it_is(wire, coding):
    near = answer(NEAR, b"Content-Encoding: " + coding)
    wire.says(0, GET)
    wire.says(1, near)
    (hit,) = hits(wire.core)
    assert (hit.name, hit.dropped) == ("@body/unknown_coding", False)
    assert wire.across[1] == near
    wire.says(0, GET)
    wire.says(1, answer(BODY, b"Content-Encoding: " + coding))
    assert "cards/card" in [hit.name for hit in hits(wire.core)]
    assert wire.across[1] == near


def test_what_is_broken_ends_the_flow(wire):
    wire.says(0, GET)
    wire.says(1, answer(NEAR, b"Content-Encoding: gzip"))
    (hit,) = hits(wire.core)
    assert (hit.name, hit.dropped) == ("@body/broken", True)
    assert wire.across[1] == b""


def test_what_is_broken_is_scanned_as_it_is_where_hits_are_only_told(node, net):
    shows(node, CARD, action=ALERT)
    wire = opened(node, net)
    wire.says(0, GET)
    wire.says(1, answer(BODY, b"Content-Encoding: br"))
    assert {hit.name for hit in hits(wire.core)} == {"@body/broken", "cards/card"}


def test_a_head_in_many_segments_is_kept_and_let_go(wire):
    data = answer(NEAR, b"X-Long: " + b"a" * 20_000)
    wire.says(0, GET)
    for at in range(0, len(data), 500):
        wire.says(1, data[at : at + 500])
    assert wire.across[1] == data
    wire.says(0, GET)
    wire.says(1, answer(BODY))
    assert len(hits(wire.core)) == 1


WRONG = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two framings": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "only LF": b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
    "no HTTP": b"220 hello\r\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_clients_may_read_differently_ends_the_flow(wire, name):
    wire.says(0, GET)
    wire.says(1, WRONG[name])
    assert wire.across[1] == b""
    assert abi.REASONS[wire.session.reason].name == "bad_request"


@pytest.mark.parametrize("name", WRONG)
def test_where_nothing_is_dropped_it_passes(node, net, name):
    shows(node, CARD, action=ALERT)
    wire = opened(node, net)
    wire.says(0, GET)
    wire.says(1, WRONG[name])
    assert wire.across[1] == WRONG[name]


def test_a_server_that_speaks_first_is_no_http(wire):
    wire.says(1, b"220 mail.example ESMTP\r\n")
    wire.says(0, b"EHLO a.example\r\n")
    wire.says(1, b"250 mail.example\r\n" + BODY)
    assert not hits(wire.core)
    assert wire.across[1].endswith(BODY)


def test_another_protocol_is_not_read_as_answers(wire):
    upgrade = GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    switched = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"
    wire.says(0, upgrade)
    wire.says(1, switched)
    wire.says(1, b"\x81\x05hello")
    wire.says(0, b"\x81\x85abcdabcde")
    assert wire.across[1] == switched + b"\x81\x05hello"
    assert not hits(wire.core)


def test_too_many_requests_that_wait_end_the_flow(wire):
    wire.says(0, GET * 64)
    assert wire.across[0] == GET * 64
    wire.says(0, GET)
    assert abi.REASONS[wire.session.reason].name == "bad_request"


def test_in_tap_a_match_is_told(node, net):
    shows(node, CARD, mode=Mode.MONITOR)
    wire = opened(node, net)
    wire.says(0, GET)
    wire.says(1, answer(gzip.compress(BODY), b"Content-Encoding: gzip"))
    (hit,) = hits(node.core)
    assert (hit.name, hit.dropped) == ("cards/card", False)
    assert wire.across[1]


def test_numbers_that_are_none_do_not_tire_the_check(wire):
    """A table of numbers without right digits is scanned to its end, however long it is."""
    dice = random.Random(1)
    rows = []
    while len(rows) < 4000:
        number = f"4{dice.randrange(10**14):014}"
        total = sum(
            sum(divmod(int(digit) * (1 + place % 2), 10))
            for place, digit in enumerate(reversed(number), 1)
        )
        rows.append(f"{number}{(-total + 1) % 10}\n")
    data = answer("".join(rows).encode())
    wire.says(0, GET)
    wire.says(1, data[:60_000])
    wire.says(1, data[60_000:])
    assert not hits(wire.core)
    assert wire.across[1] == data

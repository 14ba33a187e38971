"""Requests of a connection over segments: none crosses unjudged, however they come, and bodies cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.engine.core.http1 import (
    AGAIN,
    AHEAD,
    DIFFER,
    LOST,
    NO_ROOM,
    NOT_HTTP,
    PASS,
    REFUSED,
    STAYS,
    WAIT,
    WEBSOCKET,
    Client,
    read,
)
from tests.unit.engine.core.http2 import PING, Speaker, asks, connection, frame

GET = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
DENIED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET /one HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"
FRAME = 65000


def post(size: int) -> bytes:
    return b"POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size


def is_allowed(request: Any) -> bool:
    return request.paths != ("/admin",)


@pytest.fixture
def client(core_module: Any) -> Iterator[Client]:
    made = Client(core_module, is_allowed)
    yield made
    made.close()


def paths(client: Client) -> list[str]:
    return [request.paths[0] for request in client.found]


def test_each_request_is_judged_and_forgotten_once_it_is_acknowledged(client):
    empty = client.memory
    for at in range(0, 5 * len(GET), len(GET)):
        assert client.says(at, GET) == PASS
        assert client.memory > empty
        client.acknowledged(at + len(GET))
        assert client.memory == empty
    assert paths(client) == ["/one"] * 5


def test_a_request_that_is_not_allowed_is_refused_in_a_row_too(client):
    assert client.says(0, GET) == PASS
    assert client.says(len(GET), GET + DENIED + GET) == REFUSED
    assert paths(client) == ["/one", "/one", "/admin"]


def test_a_head_waits_until_it_is_complete(client):
    assert client.says(0, GET + GET[:9]) == WAIT
    assert client.says(len(GET) + 9, GET[9:-1]) == WAIT
    assert client.says(len(GET), GET[:9]) == AGAIN
    assert client.says(2 * len(GET) - 1, GET[-1:]) == PASS
    assert client.says(len(GET), GET) == PASS
    assert paths(client) == ["/one"] * 2


def test_what_is_ahead_of_a_hole_does_not_pass(client):
    assert client.says(len(GET), GET) == AHEAD
    assert client.says(0, GET) == PASS
    assert client.says(len(GET), GET) == PASS


def test_what_is_no_request_is_wrong(client):
    assert client.says(0, GET + b"\x16\x03\x01") == NOT_HTTP


@pytest.mark.parametrize("at", range(len(GET)))
def test_a_differing_copy_of_what_is_not_acknowledged_is_found(client, at):
    assert client.says(0, GET) == PASS
    other = bytearray(GET)
    other[at] ^= 1
    assert client.says(0, bytes(other)) == DIFFER
    assert client.says(at, bytes(other[at:]) + GET) == DIFFER
    assert client.says(0, GET) == PASS
    client.acknowledged(len(GET))
    # Its receiver has it, and looks at no copy.
    assert client.says(0, bytes(other)) == PASS


def test_a_differing_copy_of_an_incomplete_head_is_found(client):
    assert client.says(0, GET[:20]) == WAIT
    assert client.says(0, DENIED[:20]) == DIFFER
    assert client.says(10, GET[10:] + GET) == PASS
    assert client.says(4, DENIED[4:]) == DIFFER


def test_a_body_passes_in_any_order_and_is_not_kept(client):
    head = post(10 * FRAME)
    assert client.says(0, head) == PASS
    kept = client.memory
    for piece in (3, 1, 9, 0, 2, 4, 8, 5, 6, 7):
        assert client.says(len(head) + piece * FRAME, bytes(FRAME)) == PASS
    assert client.memory == kept
    behind = len(head) + 10 * FRAME
    assert client.says(behind - 100, bytes(100) + GET + DENIED[:5]) == WAIT
    assert client.says(behind + len(GET) + 5, DENIED[5:]) == REFUSED


def test_a_body_of_chunks_is_read_through(client):
    head = GET[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    sent = head + (b"ffff\r\n" + bytes(65535) + b"\r\n") * 20 + b"0\r\n\r\n"
    for at in range(0, len(sent), FRAME):
        assert client.says(at, sent[at : at + FRAME]) in (PASS, WAIT)
    assert client.memory < 4096
    assert client.says(len(sent), DENIED) == REFUSED


def test_many_small_chunks_are_kept_within_bounds(client):
    head = GET[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    sent = head + b"8\r\n12345678\r\n" * 40000 + b"0\r\n\r\n"
    at, told = 0, set()
    while at < len(sent):
        said = client.says(at, sent[at : at + FRAME])
        told.add(said)
        assert client.memory < 300_000
        if said == NO_ROOM:
            client.acknowledged(at)
        else:
            at += FRAME
    assert NO_ROOM in told
    assert client.says(len(sent), DENIED) == REFUSED


def test_a_head_that_comes_byte_by_byte_and_is_acknowledged_costs_no_more(client):
    """Where nothing is held back the server acknowledges what is not judged yet."""
    for at in range(len(GET) * 50):
        said = client.says(at, GET[at % len(GET) :][:1])
        client.acknowledged(at + 1)
        assert said == (PASS if at % len(GET) == len(GET) - 1 else WAIT)
        assert client.memory < 2000
    assert len(client.found) == 50


def test_without_memory_a_segment_counts_as_not_seen(core_module):
    client = Client(core_module, is_allowed, room=900)
    long = GET[:-2] + b"X: " + b"x" * 700 + b"\r\n\r\n"
    assert client.says(0, long) == NO_ROOM
    assert client.says(0, GET) == PASS
    client.acknowledged(len(GET))
    client.close()


def test_what_the_first_request_asks_the_connection_to_become_is_told(client):
    assert client.says(0, UPGRADE) == PASS
    assert client.becomes == WEBSOCKET
    assert client.says(len(UPGRADE), GET) == PASS
    assert client.becomes == STAYS
    assert client.says(len(UPGRADE + GET), UPGRADE) == PASS
    assert client.becomes == STAYS


BODY = st.integers(0, 300).map(lambda size: post(size) + b"G" * size)
PIECES = st.lists(st.integers(1, 80).map(lambda n: b"z" * n), max_size=5)
CHUNKS = PIECES.map(
    lambda pieces: (
        GET[:-2]
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        + b"0\r\n\r\n"
    )
)
ROWS = st.lists(st.one_of(st.just(GET), st.just(DENIED), BODY, CHUNKS), max_size=6)


@given(ROWS, st.randoms(use_true_random=False))
def test_no_byte_of_a_denied_request_crosses_whatever_the_segments_do(
    core_module, row, random
):
    """A client that repeats until all is acknowledged, over a network that reorders, cuts anew and loses."""
    client, sent = Client(core_module, is_allowed), b"".join(row)
    allowed = sent.split(DENIED)[0]
    got, acked, said = bytearray(len(sent)), 0, PASS
    has = [False] * len(sent)
    for _ in range(3000):
        if acked == len(sent) or said == REFUSED:
            break
        at = min(len(sent) - 1, acked + random.randrange(120))
        if random.randrange(2):
            at = acked
        data = sent[at : at + 1 + random.randrange(200)]
        said = client.says(at, data)
        if said == PASS:
            got[at : at + len(data)] = data
            has[at : at + len(data)] = [True] * len(data)
        # Frames that wait are sent on with the last of their request: here it is repeated.
        while acked < len(sent) and has[acked]:
            acked += 1
        if random.randrange(4) == 0:
            client.acknowledged(acked)
        if said in (WAIT, AGAIN, AHEAD):
            whole = sent[acked : acked + 400]
            said = client.says(acked, whole)
            if said == PASS:
                has[acked : acked + len(whole)] = [True] * len(whole)
                got[acked : acked + len(whole)] = whole
        assert said in (PASS, WAIT, AGAIN, REFUSED)
    assert not any(has[len(allowed) :])
    assert (said == REFUSED) == (DENIED in sent) or acked == len(allowed)
    assert (
        client.found[: len(client.found)]
        == read(core_module, sent)[: len(client.found)]
    )
    client.close()


OPEN = connection()


@pytest.fixture
def http2(core_module: Any) -> Iterator[Client]:
    made = Client(core_module, is_allowed, http2=True)
    yield made
    made.close()


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


def test_each_request_is_judged_and_forgotten_once_it_is_acknowledged_of_http2(
    http2, speaker
):
    assert http2.says(0, OPEN) == PASS
    at = len(OPEN)
    http2.acknowledged(at)
    sizes = []
    for _ in range(5):
        sent = speaker.opens(asks("/one", ("x", "1")))
        assert http2.says(at, sent) == PASS
        at += len(sent)
        http2.acknowledged(at)
        sizes.append(http2.memory)
    assert paths(http2) == ["/one"] * 5
    assert len(set(sizes)) == 1


def test_one_that_is_not_allowed_is_refused_in_a_row_too_of_http2(http2, speaker):
    row = OPEN + speaker.opens(asks("/one")) + speaker.opens(asks("/admin"))
    assert http2.says(0, row) == REFUSED
    assert paths(http2) == ["/one", "/admin"]


def test_a_block_waits_until_it_is_complete_of_http2(http2, speaker):
    assert http2.says(0, OPEN) == PASS
    sent, at = speaker.opens(asks("/one")), len(OPEN)
    assert http2.says(at, sent[:5]) == WAIT
    assert http2.says(at + 5, sent[5:-1]) == WAIT
    assert http2.says(at, sent[:5]) == AGAIN
    assert http2.says(at + len(sent) - 1, sent[-1:]) == PASS
    assert http2.says(at, sent) == PASS
    assert paths(http2) == ["/one"]


def test_bodies_pass_in_any_order_and_cost_nothing_of_http2(http2, speaker):
    head = OPEN + speaker.opens(asks("/one"), 4)
    assert http2.says(0, head) == PASS
    body = speaker.says(b"\0\0\1\1\5" * 3200)
    at = len(head)
    assert http2.says(at, body[:9]) == PASS
    before = http2.memory
    assert http2.says(at + 8000, body[8000:]) == PASS
    assert http2.says(at + 9, body[9:8000]) == PASS
    assert http2.memory == before
    admin = speaker.opens(asks("/admin"))
    assert http2.says(at + len(body), admin) == REFUSED


def test_what_is_ahead_of_a_hole_does_not_pass_of_http2(http2, speaker):
    sent = speaker.opens(asks("/one"))
    assert http2.says(len(OPEN), sent) == AHEAD
    assert http2.says(0, OPEN) == PASS
    assert http2.says(len(OPEN), sent) == PASS


def test_another_copy_of_a_block_differs_until_it_is_acknowledged_of_http2(
    http2, speaker
):
    one, two = Speaker().opens(asks("/one")), Speaker().opens(asks("/two"))
    assert http2.says(0, OPEN + one) == PASS
    assert http2.says(len(OPEN), two) == DIFFER
    assert paths(http2) == ["/one"]


def test_what_is_no_http2_is_told_of_http2(http2):
    assert http2.says(0, OPEN + frame(PING, bytes(7), 0, 0)) == NOT_HTTP


def test_without_room_a_block_is_not_decoded_so_that_it_can_come_again(core_module):
    """The table has what it had: the same bytes are read as the same request."""
    speaker = Speaker()
    first, second = (speaker.opens(asks("/one", ("x", "y" * 50))) for _ in range(2))
    client = Client(core_module, is_allowed, http2=True)
    at = len(OPEN + first)
    assert client.says(0, OPEN + first) == PASS
    # What is not acknowledged fills the window.
    ping = frame(PING, bytes(8), 0, 0)
    row = frame(1 << 4, bytes(900), 0, 0) * 70
    sent = []
    while (said := client.says(at, row + ping)) == PASS:
        sent.append(row + ping)
        at += len(row + ping)
        if len(sent) > 300:
            break
    assert said in {PASS, NO_ROOM}
    assert client.says(at, second) in {PASS, NO_ROOM}
    client.acknowledged(at)
    assert client.says(at, second) == PASS
    assert paths(client) in (["/one"] * 2, ["/one"] * 3)
    client.close()


def test_without_memory_for_the_table_the_connection_is_lost(core_module):
    client = Client(core_module, is_allowed, room=20000, http2=True)
    speaker, at = Speaker(), len(OPEN)
    assert client.says(0, OPEN) == PASS
    said = PASS
    for number in range(30):
        sent = speaker.opens(asks("/one", *[(f"x{number}-{i}", "v") for i in range(50)]))  # fmt: skip
        said = client.says(at, sent)
        if said != PASS:
            break
        at += len(sent)
        client.acknowledged(at)
    assert said in {LOST, NO_ROOM}
    client.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_however_segments_come_each_request_is_judged_once_and_none_but_in_order(core_module, data):  # fmt: skip
    speaker = Speaker()
    wanted, text = [], OPEN
    for number in range(data.draw(st.integers(1, 5))):
        wanted.append(f"/p{number}")
        more = [("x", "v" * data.draw(st.integers(0, 60)))]
        body = data.draw(st.integers(0, 300))
        text += speaker.opens(asks(wanted[-1], *more), 4 if body else 5)
        text += speaker.says(bytes(body)) if body else b""
    client = Client(core_module, http2=True)
    done: set[int] = set()
    for _ in range(400):
        at = data.draw(st.integers(0, len(text) - 1)) if len(done) < 30 else 0
        size = data.draw(st.integers(1, 200)) if at else FRAME
        if client.says(at, text[at : at + size]) in {PASS, WAIT}:
            done |= set(range(at, min(at + size, len(text))))
        if len(done) == len(text):
            break
    assert paths(client) == wanted
    client.close()

"""HTTP/2 as the strictest server reads it: requests, other frames, and what is refused."""

from __future__ import annotations

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.exceptions import ProtocolError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.engine.core.http1 import Request
from tests.unit.engine.core.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    LIBRARY,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Speaker,
    asks,
    connection,
    frame,
    grpc,
    read,
    read_on,
    speak,
)

ONE = Request("GET", "a.example", ("/one",), 0, 0, "HTTP2")
BOTH = END_STREAM | END_HEADERS


def block(*fields: tuple[str, str]) -> bytes:
    return Speaker().block(fields or asks("/one"))


def whole(*frames: bytes) -> bytes:
    """A connection whose first frames these are, and a request."""
    return connection(*frames, frame(HEADERS, block(), BOTH, 99))


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        (asks("/one?q=1"), ONE),
        (asks("/one", authority="A.example.:80"), ONE),
        (asks("/a/../b", method="PUT"), Request("PUT", "a.example", ("/b", "/a/../b"), 0, 0, "HTTP2")),
        ([(":method", "GET"), (":scheme", "http"), (":path", "/one"), ("host", "a.example")], ONE),
        (asks("/one", ("host", "a.example")), ONE),
        ([(":path", "/one"), (":authority", "a.example"), (":scheme", "x"), (":method", "GET")], ONE),
        ([(":method", "GET"), (":scheme", "http"), (":path", "/")], Request("GET", "", ("/",), 0, 0, "HTTP2")),
        (asks("*", method="OPTIONS"), Request("OPTIONS", "a.example", (), 0, 0, "HTTP2")),
        ([(":method", "CONNECT"), (":authority", "b:443")], Request("CONNECT", "b", (), 0, 0, "HTTP2")),
        (asks("/one", method="CONNECT", protocol="websocket"), Request("CONNECT", "a.example", ("/one",), 0, 0, "HTTP2")),
        (grpc("/hello.Greeter/SayHello"), Request("POST", "a.example", ("/hello.Greeter/SayHello",), 0, 0, "gRPC")),
        (asks("/x.Y/Z", ("content-type", "application/grpc+proto")), Request("GET", "a.example", ("/x.Y/Z",), 0, 0, "gRPC")),
        (asks("/x.Y/Z", ("content-type", "application/grpc;x=y")), Request("GET", "a.example", ("/x.Y/Z",), 0, 0, "gRPC")),
        (asks("/x.Y/Z", ("content-type", "application/grpc-web")), Request("GET", "a.example", ("/x.Y/Z",), 0, 0, "HTTP2")),
        (grpc("/etcdserverpb.KV/Range"), Request("POST", "a.example", ("/etcdserverpb.KV/Range",), 0, 0, "etcd")),
        (grpc("/etcdserverpb"), Request("POST", "a.example", ("/etcdserverpb",), 0, 0, "gRPC")),
        (asks("/one", ("content-length", "0")), ONE),
        (asks("/one", ("cookie", "a=b"), ("cookie", "c=d"), ("x-latin", "caf\xe9"), ("x", "")), ONE),
        (asks("/one", ("te", "trailers"), ("accept", "*/*")), ONE),
    ],
)  # fmt: skip
def test_requests_are_read(core_module, fields, request_):
    assert read(core_module, speak(fields)) == [request_]


@pytest.mark.parametrize(
    "frames",
    [
        [frame(HEADERS, block(), BOTH)],
        [frame(HEADERS, b"\x04" + block() + bytes(4), BOTH | PADDED)],
        [frame(HEADERS, bytes(5) + block(), BOTH | HAS_PRIORITY)],
        [frame(HEADERS, b"\x02" + bytes(5) + block() + b"\x82\x82", BOTH | PADDED | HAS_PRIORITY)],
        [frame(HEADERS, block()[:3], 1), frame(CONTINUATION, block()[3:], END_HEADERS)],
        [frame(HEADERS, b"", 1), frame(CONTINUATION, block()[:4], 0), frame(CONTINUATION, b"", 0),
         frame(CONTINUATION, block()[4:], END_HEADERS)],
        [frame(HEADERS, block(), BOTH, 1 | 1 << 31)],
        [frame(HEADERS, block(), BOTH, 2**31 - 1)],
        [frame(HEADERS, b"\x20" + b"\x3f\xe1\x1f" + block(), BOTH)],
        [frame(HEADERS, b"\x3f\xe1\xff\x03" + block(), BOTH)],
        [frame(HEADERS, block() + b"\x00\x01x\x01y", BOTH)],
    ],
)  # fmt: skip
def test_they_are_read_through_padding_priority_and_continuation(core_module, frames):
    assert read(core_module, connection(*frames)) == [ONE]


@pytest.mark.parametrize(
    "frames",
    [
        [frame(PING, bytes(8), 0, 0), frame(PING, bytes(8), ACK, 0)],
        [frame(SETTINGS, b"", ACK, 0), frame(SETTINGS, bytes(12), 0, 0)],
        [frame(WINDOW_UPDATE, bytes(3) + b"\1", 0, 0)],
        [frame(PRIORITY, bytes(5), 0, 7), frame(0x10, b"x" * 50, 0, 0), frame(0xBA, block(), 5, 3)],
        [frame(HEADERS, block(), END_HEADERS, 1), frame(DATA, frame(HEADERS, block(), BOTH, 3) * 3, 1, 1)],
        [frame(HEADERS, block(), BOTH, 1), frame(RST_STREAM, bytes(4), 0, 1)],
        [frame(GOAWAY, bytes(8) + b"bye", 0, 0)],
        [frame(HEADERS, block(), END_HEADERS, 1), frame(HEADERS, b"\x00\x01x\x01y", BOTH, 1)],
    ],
)  # fmt: skip
def test_other_frames_pass(core_module, frames):
    found = read(core_module, whole(*frames))
    assert found is not None
    assert found[-1] == ONE
    assert len(found) <= 2


@pytest.mark.parametrize(
    "fields",
    [
        [*asks("/one"), (":path", "/two")],
        [(":method", "GET"), *asks("/one")],
        [("x", "y"), *asks("/one")],
        [*asks("/one"), (":status", "200")],
        [*asks("/one"), (":", "")],
        asks("/one", ("Host", "a.example")),
        asks("/one", ("X-Upper", "1")),
        asks("/one", ("", "1")),
        asks("/one", ("x y", "1")),
        asks("/one", ("x\r\n", "1")),
        asks("/one", ("x:", "1")),
        asks("/one", ("x", "a\r\nb")),
        asks("/one", ("x", "a\nb")),
        asks("/one", ("x", "a\0b")),
        asks("/one", ("host", "b.example")),
        asks("/one", ("host", "a.example"), ("host", "a.example")),
        asks("/one", ("connection", "close")),
        asks("/one", ("proxy-connection", "close")),
        asks("/one", ("keep-alive", "1")),
        asks("/one", ("transfer-encoding", "chunked")),
        asks("/one", ("upgrade", "h2c")),
        asks("/one", ("te", "gzip")),
        asks("/one", ("content-length", "3")),
        asks("/one", ("content-length", "x")),
        asks("/one", ("content-length", "0"), ("content-length", "1")),
        asks("/one", ("content-type", "a/b"), ("content-type", "application/grpc")),
        asks(""),
        asks("one"),
        asks("http://a.example/one"),
        asks("/a b"),
        asks("/a#b"),
        asks("/a\r\nb"),
        asks("/%zz"),
        asks("*"),
        asks("/" + "a" * 9000),
        asks("/one", method="get"),
        asks("/one", method=""),
        asks("/one", method="GET "),
        asks("/one", method="A" * 33),
        asks("/one", scheme=""),
        asks("/one", authority="u@a.example"),
        asks("/one", authority="a b"),
        asks("/one", authority="a" * 300),
        asks("/one", protocol="websocket"),
        [(":method", "GET"), (":path", "/one")],
        [(":scheme", "http"), (":path", "/one")],
        [(":method", "GET"), (":scheme", "http")],
        [(":method", "CONNECT"), (":authority", "b")],
        [(":method", "CONNECT"), ("host", "b:443")],
        [(":method", "CONNECT"), (":authority", "b:443"), (":path", "/")],
        [(":method", "CONNECT"), (":authority", "b:443"), (":scheme", "http")],
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/")],
        [],
    ],
)  # fmt: skip
def test_what_servers_may_read_differently_is_refused(core_module, fields):
    assert read(core_module, speak(fields)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        PREFACE[:-1] + b"x" + frame(SETTINGS, b"", 0, 0),
        PREFACE + frame(HEADERS, block(), BOTH),
        PREFACE + frame(SETTINGS, b"", ACK, 0) + frame(SETTINGS, b"", 0, 0),
        connection(frame(HEADERS, block(), BOTH, 0)),
        connection(frame(HEADERS, block(), BOTH, 2)),
        connection(frame(HEADERS, b"", BOTH)),
        connection(frame(HEADERS, block()[:-1], BOTH)),
        connection(frame(HEADERS, block() + b"\x20", BOTH)),
        connection(frame(HEADERS, block() + b"\xff\xff\xff\xff\xff\xff\xff\xff", BOTH)),
        connection(frame(HEADERS, block() + b"\xbe\xbf\xc0\xc1\xc2", BOTH)),
        connection(frame(HEADERS, b"\x3f\xe2\xff\x03" + block(), BOTH)),
        connection(frame(HEADERS, b"\xff" + block(), BOTH | PADDED)),
        connection(frame(HEADERS, bytes(4), BOTH | HAS_PRIORITY)),
        connection(frame(HEADERS, block()[:3], 1), frame(PING, bytes(8), 0, 0)),
        connection(frame(HEADERS, block()[:3], 1), frame(CONTINUATION, block()[3:], 4, 3)),
        connection(frame(HEADERS, block()[:3], 1), frame(HEADERS, block()[3:], 4)),
        connection(frame(CONTINUATION, block(), BOTH)),
        connection(frame(PUSH_PROMISE, bytes(4) + block(), END_HEADERS)),
        connection(frame(DATA, b"x", 1, 1)),
        connection(frame(HEADERS, block(), BOTH), frame(HEADERS, block(), BOTH)),
        connection(frame(HEADERS, block(), BOTH, 3), frame(HEADERS, block(), BOTH, 1)),
        connection(frame(HEADERS, block(), 4), frame(HEADERS, b"\x00\x01x\x01y", END_HEADERS)),
        connection(frame(HEADERS, block(), 4), frame(HEADERS, block(("host", "b")), BOTH)),
        connection(frame(HEADERS, block(), 4), frame(DATA, b"x", 0, 3)),
        connection(frame(HEADERS, block(), 4), frame(DATA, b"x", 0, 0)),
        connection(frame(SETTINGS, bytes(5), 0, 0)),
        connection(frame(SETTINGS, bytes(6), ACK, 0)),
        connection(frame(SETTINGS, b"", 0, 1)),
        connection(frame(PING, bytes(7), 0, 0)),
        connection(frame(PING, bytes(8), 0, 1)),
        connection(frame(RST_STREAM, bytes(4), 0, 0)),
        connection(frame(PRIORITY, bytes(4), 0, 1)),
        connection(frame(GOAWAY, bytes(7), 0, 0)),
        connection(frame(WINDOW_UPDATE, bytes(5), 0, 0)),
    ],
)  # fmt: skip
def test_frames_where_they_have_no_place_are_refused(core_module, data):
    assert read(core_module, data) is None


def test_a_flood_of_continuations_is_bounded(core_module):
    """Of empty ones as of full ones, and of one frame that is too long, before it is there."""
    start = connection(frame(HEADERS, b"", 1))
    assert read(core_module, start + frame(CONTINUATION, b"", 0) * 63) == []
    assert read(core_module, start + frame(CONTINUATION, b"", 0) * 66) is None
    assert read(core_module, start + frame(CONTINUATION, bytes(9000), 0) * 7) == []
    assert read(core_module, start + frame(CONTINUATION, bytes(9000), 0) * 8) is None
    assert read(core_module, connection(frame(HEADERS, bytes(70000), 1)[:9])) is None


def test_a_bomb_of_fields_is_refused_and_takes_little_memory(core_module):
    """A field of 3 KB is one byte from its second time on."""
    big = ("x", "v" * 3400)
    speaker = Speaker()
    first = speaker.opens([*asks("/one"), big])
    bomb = speaker.opens([*asks("/one"), *([big] * 20)])
    assert len(bomb) < 100
    assert read(core_module, connection(first)) == [ONE]
    assert read(core_module, connection(first, bomb)) is None


def test_so_are_many_requests_of_a_few_bytes_for_long_fields_in_one_segment(
    core_module,
):
    big = [*asks("/one"), *([("x", "v" * 3400)] * 18)]
    speaker = Speaker()
    frames = [speaker.opens(big) for _ in range(20)]
    assert read(core_module, connection(*frames)) is None
    cuts = [len(connection(*frames[:at])) for at in range(1, 20)]
    assert read(core_module, connection(*frames), cuts) == [ONE] * 20


def test_a_table_is_bounded(core_module):
    """Entries of one byte take more than they count for; the most that a client may ask for is kept whole."""
    speaker = Speaker()
    speaker.encoder.header_table_size = 65536
    frames = []
    for at in range(40):
        more = [(f"x{at}-{i}", "") for i in range(50)]
        frames.append(speaker.opens([*asks("/one"), *more]))
    found, _ = read_on(core_module, connection(*frames), room=1 << 22)
    assert found
    assert set(found) == {ONE}


def test_without_memory_nothing_is_told_or_left(core_module):
    ffi, lib = core_module.ffi, core_module.lib
    data = speak(*(asks(f"/{at}", ("x", "v" * 900)) for at in range(20)))
    assert lib.sg_inflate_load(LIBRARY) == 0
    begun, room = False, 100
    while not begun:
        every = lib.sg_streams_new(room)
        reader = ffi.new("struct sg_http2_reader *")
        begun = lib.sg_http2_begin(reader, every, 0) == 0
        lib.sg_http2_end(reader)
        assert lib.sg_streams_bytes(every) == 0
        lib.sg_streams_free(every)
        room += 100
    assert 500 < room < 4000
    found, is_right = read_on(core_module, data, room=room + 1000)
    assert len(found) < 20
    assert not is_right


WORD = st.text("abcxyz09-_", min_size=1, max_size=8)
PATHS = st.builds(lambda parts: "/" + "/".join(parts), st.lists(WORD, max_size=4))
FIELD = st.tuples(
    WORD.map(lambda name: "x-" + name), st.text("aB1 ,;=%", max_size=40).map(str.strip)
)
ONE_REQUEST = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]), PATHS, WORD, st.lists(FIELD, max_size=5), st.booleans(),
    st.integers(0, 3000), st.integers(0, 5),
)  # fmt: skip


def written(requests: list) -> bytes:
    """What h2's client sends: requests, bodies and their padding, trailers, pings, resets, other sizes of the table."""
    client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    for method, path, host, fields, trailers, body, other in requests:
        stream = client.get_next_available_stream_id()
        pseudo = [(":method", method), (":authority", host), (":scheme", "http"), (":path", path)]  # fmt: skip
        client.send_headers(stream, [*pseudo, *fields], end_stream=not body)
        if body:
            client.send_data(
                stream, b"\0\0\1\1\5" * (body // 5 + 1), pad_length=other or None
            )
            if trailers:
                client.send_headers(stream, [("x-sum", "1")], end_stream=True)
            else:
                client.end_stream(stream)
        if other == 1:
            client.ping(b"12345678")
        if other == 2:
            client.reset_stream(stream)
        if other == 3:
            client.encoder.header_table_size = len(path) * 64
        if other == 4:
            client.prioritize(stream, 7)
    return client.data_to_send()


def heard(data: bytes) -> list[tuple[str, str, str]]:
    """The requests that h2's server reads, until it finds a fault."""
    server = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
    server.initiate_connection()
    found = []
    # One frame at a time, so that what comes before a fault is told.
    at = len(PREFACE)
    pieces = [data[:at]]
    while at < len(data):
        size = 9 + int.from_bytes(data[at : at + 3], "big")
        pieces.append(data[at : at + size])
        at += size
    for piece in pieces:
        try:
            events = server.receive_data(piece)
        except (ProtocolError, UnicodeError):
            break
        for event in events:
            if isinstance(event, RequestReceived):
                said = dict(event.headers)
                host = said.get(":authority", "")
                found.append(
                    (said[":method"], host, said.get(":path", "").partition("?")[0])
                )
    return found


def told(requests: list[Request]) -> list[tuple[str, str, str]]:
    return [
        (each.method, each.host, each.paths[0] if each.paths else "")
        for each in requests
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(ONE_REQUEST, min_size=1, max_size=6),
    st.lists(st.integers(0, 4000), max_size=8),
)
def test_what_h2_writes_is_read_as_h2_reads_it_however_it_is_cut(
    core_module, requests, cuts
):
    data = written(requests)
    found = read(core_module, data, sorted(cut for cut in cuts if cut < len(data)))
    assert found is not None
    assert (
        told(found)
        == heard(data)
        == [(method, host, path) for method, path, host, *_ in requests]
    )


def test_it_is_read_alike_cut_at_each_byte(core_module):
    requests = [
        ("POST", "/one", "a", [("x-a", "b")], True, 40, 1),
        ("GET", "/two", "a", [("x-a", "b")], False, 0, 3),
        ("PUT", "/three", "b", [], False, 20, 4),
    ]
    data = written(requests)
    whole_ = read(core_module, data)
    assert whole_ is not None
    assert [each.paths[0] for each in whole_] == ["/one", "/two", "/three"]
    for cut in range(len(data)):
        assert read(core_module, data, [cut]) == whole_
    assert read(core_module, data, range(len(data))) == whole_


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(ONE_REQUEST, min_size=1, max_size=4),
    st.lists(
        st.tuples(st.integers(24, 3000), st.integers(1, 255)), min_size=1, max_size=4
    ),
)
@example([("GET", "/one", "a", [], False, 0, 0)] * 2, [(60, 1)])
def test_of_damaged_bytes_nothing_is_read_that_h2_reads_otherwise(
    core_module, requests, damage
):
    """Both may stop at different faults; up to the first of them they read the same."""
    data = bytearray(written(requests))
    for at, bits in damage:
        data[max(at % len(data), 24)] ^= bits
    ours, is_right = read_on(core_module, bytes(data))
    theirs = heard(bytes(data))
    both = min(len(ours), len(theirs))
    plain = [(method, path) for method, _host, path in theirs[:both]]
    for mine, (method, path) in zip(ours, plain, strict=False):
        assert mine.method == method
        assert (
            not mine.paths
            or path in mine.paths
            or "%" in path
            or "//" in path
            or "." in path
        )
    assert not is_right or len(theirs) <= len(ours)

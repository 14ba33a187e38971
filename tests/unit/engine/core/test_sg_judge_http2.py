"""Rules for requests, on HTTP/2 and gRPC: of a request that is denied no byte crosses, and it ends its connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pyctl import abi
from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import OVER, Wire, always, asks_for
from tests.unit.engine.core.conditions import http
from tests.unit.engine.core.harness import DROP, EGRESS, INGRESS, VIOLATION
from tests.unit.engine.core.http2 import (
    ACK,
    CONTINUATION,
    HEADERS,
    PREFACE,
    SETTINGS,
    Speaker,
    asks,
    connection,
    frame,
    grpc,
)

REQUESTS = 4
OPEN = connection()
ANSWER = frame(SETTINGS, bytes(6), 0, 0) + frame(SETTINGS, b"", ACK, 0)
H2C = (
    b"GET /api/x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABk\r\n\r\n"
)
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
)


def only(*paths: str, app: str = "HTTP2", action: Action = Action.ALLOW, number: int = 7, **said: Any):  # fmt: skip
    """A rule for requests."""
    rule = asks_for(app, action=action, number=number)
    return replace(rule, condition=http(*paths, denies=action is not Action.ALLOW, **said))  # fmt: skip


def told(core: Any, kind: int = DROP) -> list[tuple[str, int, str]]:
    return [
        (abi.REASONS[e.reason].name, e.rule_id, core.ffi.string(e.text).decode())
        for e in core.events()
        if e.kind == kind
    ]


def judged_by(node: Any, net: Any, *rules: Any, sport: int = 40000, **options: Any) -> Wire:  # fmt: skip
    node.judge_by(*rules, **options)
    return Wire(node.core, net, sport=sport).opens()


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def wire(node, net, request):
    """A connection after its handshake, of which /api/ may be asked, and one service called."""
    node.judge_by(only("/api/*"), only("/x.Greeter/*", app="gRPC", number=8))
    return Wire(node.core, net, request.param).opens()


@pytest.fixture
def speaker():
    return Speaker()


def test_allowed_requests_pass_and_stay_with_the_engine(wire, speaker):
    sent = OPEN
    wire.says(0, OPEN)
    wire.says(1, ANSWER)
    for path in ("/api/one", "/api/two", "/api/one"):
        request = speaker.opens(asks(path))
        wire.says(0, request)
        sent += request
    assert wire.across == [sent, ANSWER]
    assert wire.app == ("HTTP2", 2)
    assert (wire.session.look, wire.session.rule_id) == (REQUESTS, 7)
    assert wire.core.flows == {}


def test_a_later_request_that_is_denied_ends_the_connection(wire, speaker):
    first = OPEN + speaker.opens(asks("/api/one"))
    wire.says(0, first)
    wire.says(1, ANSWER)
    wire.core.events()
    wire.says(0, speaker.opens(asks("/admin?secret=1")))
    assert wire.across == [first, ANSWER]
    assert wire.resets == 2
    assert told(wire.core) == [("default_deny", 0, "GET a.example/admin")]
    wire.says(0, speaker.opens(asks("/api/one")))
    assert wire.across == [first, ANSWER]


def test_nor_does_a_byte_of_the_first_or_of_one_in_a_row_cross(node, net):
    for sport, refused in enumerate([1, 2, 3], 40000):
        speaker = Speaker()
        paths = ["/api/one", "/api/two", "/api/three"]
        paths[refused - 1] = "/admin"
        row = OPEN + b"".join(speaker.opens(asks(path)) for path in paths)
        wire = judged_by(node, net, only("/api/*"), sport=sport)
        wire.says(0, row)
        assert (wire.across[0], wire.resets) == (b"", 2)


@pytest.mark.parametrize("size", [2, 7, 40])
def test_requests_in_pieces_cross_whole_and_in_order(wire, speaker, size):
    row = OPEN + speaker.opens(asks("/api/one"), 4) + speaker.says(b"x" * 50)
    row += speaker.opens(grpc("/x.Greeter/Hello"))
    for at in range(0, len(row), size):
        wire.says(0, row[at : at + size])
    assert wire.across[0] == row
    denied = speaker.opens(asks("/admin"))
    for at in range(0, len(denied), size):
        wire.says(0, denied[at : at + size])
    assert wire.across[0] == row
    assert wire.resets == 2


def test_it_is_the_same_cut_at_each_byte(node, net, speaker):
    node.judge_by(only("/api/*"))
    good = OPEN + speaker.opens(asks("/api/one", ("x-long", "v" * 30)))
    row = good + speaker.opens(asks("/admin"))
    for cut in range(1, len(row)):
        wire = Wire(node.core, net, sport=20000 + cut).opens()
        wire.says(0, row[:cut])
        wire.says(0, row[cut:])
        assert wire.resets == 2, cut
        assert good.startswith(wire.across[0]) or wire.across[0] == good


def test_a_call_is_judged_by_its_method_and_as_grpc(wire, speaker):
    call = OPEN + speaker.opens(grpc("/x.Greeter/SayHello"))
    wire.says(0, call)
    assert wire.across[0] == call
    assert wire.app == ("gRPC", 2)
    wire.core.events()
    wire.says(0, speaker.opens(grpc("/x.Admin/Stop")))
    assert wire.across[0] == call
    assert told(wire.core) == [("default_deny", 0, "POST a.example/x.Admin/Stop")]


def test_a_call_is_http2_too_but_another_request_is_no_call(wire, speaker):
    call = OPEN + speaker.opens(grpc("/api/one"))
    wire.says(0, call)
    assert wire.across[0] == call
    assert wire.app == ("gRPC", 2)
    wire.says(0, speaker.opens(asks("/x.Greeter/SayHello")))
    assert (wire.across[0], wire.resets) == (call, 2)


def test_etcd_may_be_only_read(node, net, speaker):
    rule = only("/etcdserverpb.KV/Range", "/etcdserverpb.Watch/*", app="etcd")
    wire = judged_by(node, net, rule)
    read = OPEN + speaker.opens(grpc("/etcdserverpb.KV/Range"))
    wire.says(0, read)
    assert wire.across[0] == read
    assert wire.app == ("etcd", 2)
    wire.says(0, speaker.opens(grpc("/etcdserverpb.KV/Put")))
    assert (wire.across[0], wire.resets) == (read, 2)


def test_a_client_that_waits_for_the_servers_settings_gets_them(wire, speaker):
    wire.says(0, OPEN)
    assert wire.across[0] == OPEN
    wire.says(1, ANSWER)
    assert wire.across[1] == ANSWER
    call = speaker.opens(grpc("/x.Greeter/SayHello"))
    wire.says(0, call)
    assert wire.across[0] == OPEN + call


@pytest.mark.parametrize(
    "sent",
    [
        frame(HEADERS, Speaker().block([*asks("/api/one"), (":path", "/api/two")]), 5),
        frame(HEADERS, Speaker().block(asks("/api/one", ("host", "b"))), 5),
        frame(HEADERS, Speaker().block(asks("/api/one", ("x", "a\r\nb"))), 5),
        frame(HEADERS, Speaker().block(asks("/api/one", ("upgrade", "x"))), 5),
        frame(HEADERS, b"\xff\xff\xff\xff\xff\xff\xff", 5),
        frame(CONTINUATION, b"", 4),
    ],
)
def test_what_may_be_read_differently_ends_the_flow_whatever_the_rules(node, net, sent):
    wire = judged_by(node, net, only("/never"), always())
    wire.says(0, OPEN)
    wire.core.events()
    wire.says(0, sent)
    assert (wire.across[0], wire.resets) == (OPEN, 2)
    assert told(wire.core) == [("bad_request", 0, "")]


def test_a_path_is_judged_by_each_of_its_readings(node, net):
    for sport, path in enumerate(
        ["/api/../admin", "/%61pi/%2e%2e/admin", "/api/..%2fadmin", "//admin"], 40000
    ):
        wire = judged_by(node, net, only("/api/*"), sport=sport)
        wire.says(0, OPEN + Speaker().opens(asks(path)))
        assert (wire.across[0], wire.resets) == (b"", 2), path


def test_connect_must_be_named_plain_or_extended(node, net):
    plain = [(":method", "CONNECT"), (":authority", "b.example:443")]
    extended = asks("/api/chat", method="CONNECT", protocol="websocket")
    for sport, (fields, named) in enumerate(
        [(plain, False), (extended, False), (plain, True), (extended, True)], 42000
    ):
        rules = [only("/api/*"), only(hosts=["b.example"], number=8)]
        if named:
            rules.append(only(methods=["CONNECT"], number=9))
        wire = judged_by(node, net, *rules, sport=sport)
        sent = OPEN + Speaker().opens(fields, 4)
        wire.says(0, sent)
        assert (wire.across[0] == sent) == named, fields


def test_a_denial_of_some_requests_leaves_the_others(node, net, speaker):
    wire = judged_by(node, net, only("/admin*", action=Action.DENY), always())
    first = OPEN + speaker.opens(asks("/one"))
    wire.says(0, first)
    wire.says(0, speaker.opens(asks("/admin")))
    assert (wire.across[0], wire.resets) == (first, 2)


def test_where_no_rule_asks_for_its_requests_the_flow_goes_to_the_kernel(node, net, speaker):  # fmt: skip
    http1 = replace(asks_for("HTTP", number=8), condition=http("/x"))
    wire = judged_by(node, net, http1, asks_for("HTTP2"))
    wire.says(0, OPEN + speaker.opens(asks("/admin")))
    wire.says(1, ANSWER)
    wire.acknowledges(0)
    assert wire.session.look == OVER
    assert len(node.core.flows) == 1


def test_a_block_that_is_not_complete_in_three_seconds_ends_the_flow(wire, speaker):
    wire.says(0, OPEN)
    wire.says(0, speaker.opens(asks("/api/one"))[:-1])
    wire.core.events()
    assert wire.waits(2.8) == []
    wire.waits(0.4)
    assert (wire.across[0], wire.resets) == (OPEN, 2)
    assert told(wire.core) == [("bad_request", 0, "")]


def test_a_body_may_take_its_time(wire, speaker):
    wire.says(0, OPEN + speaker.opens(asks("/api/one"), 4))
    body = speaker.says(b"x" * 20)
    for at in range(9, 29):
        wire.waits(4)
        wire.says(0, body[:9] if at == 9 else body[at - 1 : at])
    assert wire.resets == 0


def test_a_differing_copy_of_a_block_ends_the_flow(wire, speaker):
    wire.says(0, OPEN)
    one, two = Speaker().opens(asks("/api/one")), Speaker().opens(asks("/api/two"))
    wire.says(0, one)
    wire.connection.seq[0] -= len(one)
    wire.core.events()
    wire.says(0, two)
    assert (wire.across[0], wire.resets) == (OPEN + one, 2)
    assert told(wire.core) == [("tcp_differs", 0, "")]


def test_after_an_upgrade_that_the_server_agrees_to_its_streams_are_judged(node, net, speaker):  # fmt: skip
    wire = judged_by(node, net, only("/api/*", app="HTTP"), only("/api/*", number=8))
    wire.says(0, H2C)
    wire.says(1, AGREED + ANSWER)
    speaker.stream = 1
    more = OPEN + speaker.opens(asks("/api/one"))
    wire.says(0, more)
    assert wire.across == [H2C + more, AGREED + ANSWER]
    assert wire.app == ("HTTP2", 2)
    wire.says(0, speaker.opens(asks("/admin")))
    assert (wire.across[0], wire.resets) == (H2C + more, 2)


def test_after_one_that_it_does_not_agree_to_http1_goes_on(node, net):
    wire = judged_by(node, net, only("/api/*", app="HTTP"), only("/api/*", number=8))
    wire.says(0, H2C)
    wire.says(1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    wire.says(0, H2C)
    assert wire.across[0] == H2C * 2
    wire.says(0, PREFACE)
    assert (wire.across[0], wire.resets) == (H2C * 2, 2)


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_modes_that_record_hold_nothing_and_tell_each_request(node, net, speaker, mode):
    wire = judged_by(node, net, only("/admin*", action=Action.DENY), only("/api/*", number=8), mode=mode)  # fmt: skip
    node.core.events()
    sent = OPEN + speaker.opens(asks("/api/one"))
    for at in range(0, len(sent), 11):
        assert wire.says(0, sent[at : at + 11])
    wire.says(0, speaker.opens(asks("/admin")))
    assert told(node.core, VIOLATION) == [("policy_deny", 7, "GET a.example/admin")]
    wire.says(0, frame(CONTINUATION, b"", 4))
    assert told(node.core, VIOLATION)[0][0] == "bad_request"
    assert (wire.session.look, wire.resets) == (OVER, 0)


def test_without_the_library_rules_for_requests_hold_for_none_that_allow(node, net):
    """And for all that deny; a rule that asks for no request decides as before."""
    sent = OPEN + Speaker().opens(asks("/api/one"))
    cases = [
        ([only("/api/*")], False),
        ([only("/admin", action=Action.DENY), always()], False),
        ([only("/x", app="gRPC", action=Action.DENY), asks_for("HTTP2", number=8)], False),
        ([only("/api/*"), always()], True),
    ]  # fmt: skip
    for sport, (rules, passes) in enumerate(cases, 44000):
        wire = judged_by(node, net, *rules, sport=sport)
        node.core.lib.sg_inflate_load(node.core.ffi.NULL)
        node.core.events()
        wire.says(0, sent)
        assert (wire.across[0] == sent) == passes, rules
        if not passes:
            assert "without libnghttp2.so.14" in told(node.core)[0][2]
    node.judge_by(only("/api/*"))
    assert node.core.lib.sg_inflate_is_loaded()


@pytest.mark.parametrize("app", ["HTTP2", "gRPC"])
def test_who_only_says_that_it_is_http2_is_no_unknown_application(node, net, app):
    """A denial holds for what it may be; else who waits would get past it."""
    wire = judged_by(node, net, asks_for(app, action=Action.DENY), always())
    wire.says(0, OPEN)
    wire.waits(3.5)
    assert (wire.across[0], wire.resets) == (b"", 2)
    wire.says(0, Speaker().opens(grpc("/x.Greeter/SayHello")))
    assert wire.across[0] == b""


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: a\r\nx-elastic-client-meta: es=8\r\n\r\n"])  # fmt: skip
def test_nor_is_who_only_begins_with_http1(node, net, begun):
    wire = judged_by(node, net, asks_for("HTTP", action=Action.DENY), always())
    wire.says(0, begun)
    wire.waits(3.5)
    assert (wire.across[0], wire.resets) == (b"", 2)

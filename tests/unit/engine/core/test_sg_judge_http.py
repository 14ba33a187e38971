"""Rules for requests: each request of a connection is judged, and of one that is denied no byte crosses."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import TCP

from pyctl import abi
from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import (
    DECIDED,
    OVER,
    Wire,
    always,
    asks_for,
    payload,
)
from tests.unit.engine.core.conditions import http
from tests.unit.engine.core.harness import DROP, EGRESS, INGRESS, VIOLATION
from tests.unit.engine.core.node import Node
from tests.unit.engine.core.wire import NETS, parse

REQUESTS = 4
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(path: str, *lines: str, method: str = "GET", host: str = "a.example") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]
    return "\r\n".join(head).encode()


API, ADMIN = get("/api/one"), get("/admin")
SOCKET = get("/api/chat", "Upgrade: websocket", "Connection: Upgrade")
OTHER = get("/api/x", "Upgrade: other/1", "Connection: Upgrade")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
FRAME = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"


def only(*paths: str, action: Action = Action.ALLOW, number: int = 7, **said: Any):
    """A rule for requests."""
    rule = asks_for(
        "HTTP", action=action, number=number, staged=said.pop("staged", False)
    )
    denies = action is not Action.ALLOW
    return replace(rule, condition=http(*paths, denies=denies, **said))


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def wire(node, net, request):
    """A connection after its handshake, of which GET on /api/ is allowed."""
    node.judge_by(only("/api/*", methods=["GET", "POST", "PUT"]))
    return Wire(node.core, net, request.param).opens()


def judged_by(node: Any, net: Any, *rules: Any, **options: Any) -> Wire:
    node.judge_by(*rules, **options)
    return Wire(node.core, net).opens()


def told(core: Any, kind: int = DROP) -> list[tuple[str, int, str, int]]:
    return [
        (
            abi.REASONS[e.reason].name,
            e.rule_id,
            core.ffi.string(e.text).decode(),
            e.packets,
        )
        for e in core.events()
        if e.kind == kind
    ]


def test_allowed_requests_pass_and_stay_with_the_engine(wire):
    for _ in range(3):
        assert wire.says(0, API)
        assert wire.says(1, OK)
    assert wire.across == [API * 3, OK * 3]
    assert wire.app == ("HTTP", 2)
    assert (wire.session.look, wire.session.rule_id) == (REQUESTS, 7)
    assert wire.core.flows == {}
    assert wire.core.hits()[107][0] == 1


def test_of_a_later_request_that_is_denied_nothing_crosses(wire):
    wire.says(0, API)
    wire.says(1, OK)
    wire.core.events()
    wire.says(0, ADMIN)
    assert wire.across == [API, OK]
    assert wire.resets == 2
    assert told(wire.core) == [("default_deny", 0, "GET a.example/admin", 1)]
    assert wire.says(0, API) != []
    assert wire.across == [API, OK]


@pytest.mark.parametrize("row", [API + ADMIN, ADMIN, API + API + ADMIN + API])
def test_nor_of_one_in_a_row_nor_of_the_first(wire, row):
    wire.says(0, row)
    assert ADMIN not in wire.across[0]
    assert wire.across[0] == b""
    assert wire.resets == 2


@pytest.mark.parametrize("size", [1, 7, 40])
def test_requests_in_pieces_cross_whole_and_in_order(wire, size):
    row = API + get("/api/two", "Content-Length: 30", method="POST") + b"x" * 30 + API
    for at in range(0, len(row), size):
        wire.says(0, row[at : at + size])
    assert wire.across == [row, b""]
    assert wire.session.look == REQUESTS
    for at in range(0, len(ADMIN), size):
        wire.says(0, ADMIN[at : at + size])
    assert wire.across == [row, b""]
    assert wire.resets == 2


def test_a_large_body_passes_and_the_next_request_is_judged(wire):
    body = b"GET /admin HTTP/1.1\r\n\r\n" * 60000
    head = get("/api/up", f"Content-Length: {len(body)}", method="PUT")
    sent = head + body
    for at in range(0, len(sent), 1400):
        wire.says(0, sent[at : at + 1400])
        if at % 14000 == 0:
            wire.acknowledges(1)
    assert wire.across[0] == sent
    wire.says(0, API)
    wire.says(0, ADMIN)
    assert wire.across[0] == sent + API
    assert wire.resets == 2


def test_a_large_answer_passes(wire):
    wire.says(0, API)
    for _ in range(300):
        wire.says(1, b"HTTP/1.1 101 Switching Protocols\r\n\r\n" * 30)
    assert len(wire.across[1]) == 300 * 30 * 36
    wire.says(0, ADMIN)
    assert wire.across[0] == API


@pytest.mark.parametrize(
    "sent",
    [
        get("/api/x", "Content-Length: 3", "Transfer-Encoding: chunked"),
        get("/api/x", "X: a", " b"),
        API[:-2] + b"Host: b\r\n\r\n",
        API[:-2] + b"X: a\nb\r\n\r\n",
    ],
)
def test_what_may_be_read_differently_ends_the_flow_whatever_the_rules(node, net, sent):
    wire = judged_by(node, net, only("/never"), always())
    wire.says(0, API)
    wire.core.events()
    wire.says(0, sent)
    assert wire.across[0] == API
    assert wire.resets == 2
    assert told(wire.core) == [("bad_request", 0, "", 1)]


def test_a_path_is_judged_by_each_of_its_readings(node, net):
    for sport, path in enumerate(
        ["/api/../admin", "/%61pi/%2e%2e/admin", "/api/..%2fadmin", "//admin"], 40000
    ):
        node.judge_by(only("/api/*"))
        wire = Wire(node.core, net, sport=sport).opens()
        wire.says(0, get(path))
        assert (wire.across[0], wire.resets) == (b"", 2), path
        node.judge_by(only("/admin*", action=Action.DENY), always())
        wire = Wire(node.core, net, sport=sport + 1000).opens()
        wire.says(0, get(path))
        assert (wire.across[0], wire.resets) == (b"", 2), path


def test_paths_ignore_the_query_and_hosts_are_patterns(node, net):
    node.judge_by(only("/echo*", hosts=["*.example", "[::1]"]))
    wire = Wire(node.core, net).opens()
    for sent in (
        get("/echo?msg=" + "A" * 2000),
        get("/%65cho/x", host="A.b.EXAMPLE.:80"),
        get("/echo", host="[::1]:8080"),
        get("http://a.example/echo"),
    ):
        wire.says(0, sent)
        assert wire.across[0].endswith(sent)
    for sport, sent in enumerate(
        [get("/other?/echo"), get("/echo", host="example"), get("/echo", host="")],
        41000,
    ):
        wire = Wire(node.core, net, sport=sport).opens()
        wire.says(0, sent)
        assert (wire.across[0], wire.resets) == (b"", 2)


def test_methods_are_told_apart_and_connect_must_be_named(node, net):
    node.judge_by(only(methods=["GET"]), only(hosts=["b.example"], number=8))
    for sport, (sent, passes) in enumerate(
        [
            (get("/"), True),
            (get("/", method="POST"), False),
            (get("/", method="POST", host="b.example"), True),
            (get("b.example:443", method="CONNECT", host="b.example:443"), False),
        ],
        42000,
    ):
        wire = Wire(node.core, net, sport=sport).opens()
        wire.says(0, sent)
        assert (wire.across[0] == sent) == passes, sent


def test_a_denial_of_some_requests_leaves_the_others(node, net):
    wire = judged_by(node, net, only("/admin*", action=Action.DENY), always())
    wire.says(0, API)
    wire.says(0, ADMIN)
    assert wire.across[0] == API
    assert told(wire.core) == [("policy_deny", 7, "GET a.example/admin", 1)]


def test_where_no_rule_asks_for_requests_the_flow_goes_to_the_kernel(node, net):
    other = replace(asks_for("TLS", number=8), condition=http("/x"))
    wire = judged_by(node, net, other, asks_for("HTTP"))
    wire.says(0, ADMIN)
    wire.says(1, OK)
    wire.acknowledges(0)
    assert wire.session.look == OVER
    assert len(node.core.flows) == 1


def test_a_head_that_is_not_complete_in_three_seconds_ends_the_flow(wire):
    wire.says(0, API)
    wire.says(0, API[:22])
    wire.core.events()
    assert wire.waits(2.8) == []
    wire.waits(0.4)
    assert wire.across[0] == API
    assert wire.resets == 2
    assert told(wire.core) == [("bad_request", 0, "", 1)]


def test_a_body_may_take_its_time(wire):
    wire.says(0, get("/api/x", "Content-Length: 10", method="POST"))
    for _ in range(10):
        wire.waits(4)
        wire.says(0, b"x")
    wire.says(0, API)
    assert wire.across[0].endswith(API)
    assert wire.resets == 0


def test_a_differing_copy_of_a_request_ends_the_flow(wire):
    wire.says(0, API)
    wire.says(0, API)
    wire.connection.seq[0] -= len(API)
    wire.core.events()
    wire.says(0, ADMIN + API)
    assert wire.across[0] == API * 2
    assert wire.resets == 2
    assert told(wire.core) == [("tcp_differs", 0, "", 1)]


def test_what_is_ahead_of_a_hole_comes_across_once_it_is_filled(wire):
    first, second = (wire.connection.segment(0, "PA", API) for _ in range(2))
    wire.says(0, b"")
    third = wire.connection.segment(0, "PA", ADMIN)
    wire.feed(first)
    assert wire.feed(third) == []
    wire.feed(second)
    assert wire.across[0] == API * 2
    wire.feed(third)
    assert wire.across[0] == API * 2
    assert wire.resets == 2


def test_a_first_request_behind_a_hole_waits(wire):
    row = API + API
    first, second = (
        wire.connection.segment(0, "PA", part) for part in (row[:30], row[30:])
    )
    assert wire.feed(second) == []
    wire.feed(first)
    assert sorted(wire.across[0]) == sorted(row)
    wire.says(0, ADMIN)
    assert len(wire.across[0]) == len(row)
    assert wire.resets == 2


def test_a_fin_waits_for_the_request_before_it(wire):
    wire.says(0, API)
    wire.says(0, API[:9])
    fin = wire.connection.segment(0, "FA", API[9:])
    wire.feed(fin)
    assert wire.across[0] == API * 2
    assert wire.session.tcp_state == 4


def test_a_websocket_that_the_server_agrees_to_goes_to_the_kernel(wire):
    wire.says(0, SOCKET)
    assert wire.across[0] == SOCKET
    assert wire.session.look == REQUESTS
    wire.says(1, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SWITCHED)
    wire.says(0, FRAME)
    wire.acknowledges(1)
    assert wire.across[0] == SOCKET + FRAME
    assert wire.app == ("WebSocket", 2)
    assert wire.session.look == OVER
    assert len(wire.core.flows) == 1


def test_one_that_it_does_not_agree_to_goes_on_as_requests(wire):
    wire.says(0, SOCKET)
    wire.says(1, OK)
    wire.says(0, API)
    assert wire.across[0] == SOCKET + API
    wire.says(0, FRAME)
    assert wire.across[0] == SOCKET + API
    assert wire.resets == 2


def test_requests_that_follow_are_judged_until_the_server_agrees(wire):
    wire.says(0, SOCKET)
    wire.says(0, ADMIN)
    assert wire.across[0] == SOCKET
    assert wire.resets == 2


def test_a_later_request_cannot_leave_http(wire):
    """What looks like agreement may be a part of another answer."""
    wire.says(0, API)
    wire.says(0, SOCKET)
    wire.says(1, SWITCHED)
    wire.says(0, FRAME)
    assert wire.across[0] == API + SOCKET
    assert wire.resets == 2


def test_another_protocol_is_an_unknown_application(node, net):
    wire = judged_by(node, net, only("/api/*"))
    wire.says(0, OTHER)
    assert wire.across[0] == OTHER
    wire.says(1, SWITCHED)
    assert wire.resets == 2
    rule = replace(only("/api/*"), app_unknown=Action.ALLOW)
    node.judge_by(rule)
    wire = Wire(node.core, net, sport=43000).opens()
    wire.says(0, OTHER)
    wire.says(1, SWITCHED)
    wire.says(0, FRAME)
    assert wire.across == [OTHER + FRAME, SWITCHED]


def test_a_named_connect_is_a_tunnel_once_the_server_agrees(node, net):
    wire = judged_by(node, net, only(hosts=["b.example"], methods=["CONNECT"]))
    connect = get("b.example:443", method="CONNECT", host="b.example:443")
    wire.says(0, connect)
    wire.says(1, b"HTTP/1.1 200 Connection established\r\n\r\n")
    wire.says(0, b"\x16\x03\x01\x00\x05hello")
    assert wire.across[0] == connect + b"\x16\x03\x01\x00\x05hello"
    assert wire.session.look in (DECIDED, OVER)


def test_a_proxy_header_goes_before_the_first_request(wire):
    head = b"PROXY TCP4 10.0.0.1 10.0.0.2 5 80\r\n"
    wire.says(0, head + API)
    assert wire.across[0] == head + API
    wire.says(0, ADMIN)
    assert wire.across[0] == head + API


def test_a_changed_policy_judges_the_next_request(node, net):
    wire = judged_by(node, net, only("/api/*"))
    wire.says(0, API)
    node.judge_by(only("/admin"), only("/x", number=8))
    wire.says(1, OK)
    wire.says(0, ADMIN)
    assert wire.across == [API + ADMIN, OK]
    node.judge_by(only("/api/*"))
    wire.says(0, ADMIN)
    assert wire.across == [API + ADMIN, OK]
    assert wire.resets == 2


def test_a_flow_that_was_decided_before_has_no_request(node, net):
    wire = judged_by(node, net, asks_for("HTTP"))
    wire.says(0, API)
    wire.says(1, OK)
    wire.acknowledges(0)
    node.judge_by(only("/api/*"))
    wire.says(0, API)
    assert wire.across[0] == API
    assert wire.resets == 2


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_modes_that_record_hold_nothing_and_tell_each_request(node, net, mode):
    deny = only("/admin*", action=Action.DENY)
    wire = judged_by(node, net, deny, only("/api/*", number=8), mode=mode)
    node.core.events()
    for at in range(0, len(API), 11):
        assert wire.says(0, API[at : at + 11])
    wire.says(0, ADMIN[:10])
    wire.says(0, ADMIN[10:] + API)
    assert wire.across[0] == API + ADMIN + API
    assert told(node.core, VIOLATION) == [("policy_deny", 7, "GET a.example/admin", 1)]
    assert wire.session.look == REQUESTS
    wire.says(0, b"\x00\x01")
    assert told(node.core, VIOLATION) == [("bad_request", 8, "", 1)]
    assert wire.session.look == OVER
    assert wire.resets == 0


def test_where_nothing_is_held_a_hole_ends_the_look(node, net):
    wire = judged_by(node, net, only("/api/*"), mode=Mode.MONITOR)
    wire.says(0, API)
    wire.connection.segment(0, "PA", API)
    wire.says(0, ADMIN)
    assert wire.across[0] == API + ADMIN
    assert wire.session.look == OVER


def test_a_staged_rule_holds_nothing(node, net):
    rule = only("/admin", action=Action.DENY, staged=True)
    wire = judged_by(node, net, rule, always())
    wire.says(0, API[:9])
    assert wire.across[0] == API[:9]
    wire.says(0, API[9:] + ADMIN)
    assert wire.across[0] == API + ADMIN
    assert wire.resets == 0


def test_memory_goes_with_the_flow(node, net):
    looks = node.core
    wire = judged_by(node, net, only("/api/*"))
    wire.says(0, API)
    wire.says(1, OK)
    wire.acknowledges(0)
    wire.feed(wire.connection.segment(0, "RA"))
    wire.waits(100)
    assert looks.sessions() == []


CUTS = st.lists(st.integers(1, 300), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    cuts=CUTS,
    order=st.randoms(use_true_random=False),
    row=st.lists(st.sampled_from([API, ADMIN, SOCKET]), min_size=1, max_size=5),
)
def test_nothing_of_a_denied_request_crosses_however_segments_come(
    core_module, cuts, order, row
):
    node = Node(core_module)
    try:
        wire = judged_by(node, NETS[0], only("/api/*"))
        whole = b"".join(row)
        edges = [0, *sorted({cut for cut in cuts if cut < len(whole)}), len(whole)]
        frames = [
            wire.connection.segment(0, "PA", whole[a:b])
            for a, b in itertools.pairwise(edges)
        ]
        got: dict[int, bytes] = {}
        first = parse(frames[0])[TCP].seq
        for _ in range(len(frames) + 2):
            for frame in order.sample(frames, len(frames)):
                for out in node.core.feed(frame):
                    tcp = parse(out)[TCP]
                    if tcp.sport == wire.sport and payload(out):
                        got[(tcp.seq - first) % 2**32] = payload(out)
        allowed = len(whole.split(ADMIN)[0])
        assert all(at + len(data) <= allowed for at, data in got.items())
        if ADMIN not in whole:
            assert sum(map(len, got.values())) == len(whole)
    finally:
        node.core.close()

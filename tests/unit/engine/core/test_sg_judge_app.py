"""Connections wait for their application: what crosses before it is known, and what decides."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from pyctl import abi
from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import (
    DECIDED,
    GET,
    NOISE,
    NONE,
    OK,
    OVER,
    PENDING,
    SSH_CLIENT,
    SSH_SERVER,
    Wire,
    always,
    asks_for,
    payload,
)
from tests.unit.engine.core.harness import DROP, EGRESS, END, INGRESS, VIOLATION
from tests.unit.engine.core.http2 import GRPC, connection, frame, plain
from tests.unit.engine.core.wire import parse, udp

CERTAIN = 2
BIG = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + bytes(40000)


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def wire(node, net, request):
    """A connection after its handshake, for which a rule wants HTTP."""
    node.judge_by(asks_for("HTTP"))
    return Wire(node.core, net, request.param).opens()


@pytest.fixture
def out(node, net):
    node.judge_by(asks_for("HTTP"))
    return Wire(node.core, net).opens()


def drops(core):
    return [
        (abi.REASONS[e.reason].name, e.rule_id, e.app, e.proof, e.packets)
        for e in core.events()
        if e.kind == DROP
    ]


def test_a_handshake_passes_and_is_not_in_the_kernel(wire):
    assert wire.session.look == PENDING
    assert wire.core.flows == {}
    assert wire.core.services == {}


def test_the_allowed_application_passes_and_goes_to_the_kernel(wire):
    assert wire.says(0, GET)
    assert wire.across == [GET, b""]
    assert wire.app == ("HTTP", CERTAIN)
    assert (wire.session.look, wire.session.rule_id) == (DECIDED, 7)
    assert wire.core.flows == {}
    wire.says(1, OK)
    assert wire.session.look == DECIDED
    wire.acknowledges(0)
    assert wire.session.look == OVER
    assert len(wire.core.flows) == 1
    assert wire.core.services == {}
    assert wire.across == [GET, OK]
    assert wire.core.hits()[107][0] == 1


def test_of_another_application_nothing_crosses(wire):
    wire.core.events()
    wire.says(0, SSH_CLIENT)
    assert wire.across == [b"", b""]
    assert wire.resets == 2
    assert wire.app == ("SSH", CERTAIN)
    assert drops(wire.core) == [("default_deny", 0, 9, CERTAIN, 1)]
    assert wire.session.look == OVER


def test_the_end_of_a_denied_flow_counts_what_crossed_alone(out):
    out.says(1, SSH_SERVER)
    out.says(0, SSH_CLIENT)
    out.core.advance(1)
    (end,) = [event for event in out.core.events() if event.kind == END]
    assert (end.packets, end.app, end.proof) == (3, 9, CERTAIN)
    assert end.answer == out.core.lib.SG_ANSWERED_OPEN


def test_the_end_of_an_allowed_flow_was_answered_with_data(out):
    out.core.events()
    out.says(0, GET)
    for flags in ("FA", "FA", "A"):
        out.says(1, OK)
        out.acknowledges(0)
        out.feed(out.connection.segment(0 if flags == "A" else 1, flags))
    out.core.advance(120)
    (end,) = [event for event in out.core.events() if event.kind == END]
    assert (end.app, end.answer) == (1, out.core.lib.SG_ANSWERED_DATA)


def test_resets_are_where_their_receivers_expect_them(out):
    first = out.connection.seq[0]
    out.core.events()
    assert out.says(0, SSH_CLIENT[:3]) == []
    sent = [parse(frame)[TCP] for frame in out.says(0, SSH_CLIENT[3:])]
    assert {tcp.dport: tcp.seq for tcp in sent} == {8080: first, 40000: 5001}
    assert drops(out.core) == [("default_deny", 0, 9, CERTAIN, 2)]


@pytest.mark.parametrize("size", [3, 5, 17])
def test_an_application_in_pieces_crosses_whole_and_in_order(wire, size):
    for at in range(0, len(GET), size):
        wire.says(0, GET[at : at + size])
    assert wire.across == [GET, b""]


def test_what_is_behind_a_hole_waits_for_it(out):
    first, second = (
        out.connection.segment(0, "PA", piece) for piece in (GET[:9], GET[9:])
    )
    assert out.feed(second) == []
    out.feed(first)
    assert sorted(out.across[0]) == sorted(GET)
    assert out.session.look == DECIDED


def test_a_retransmission_does_not_wait_twice(out):
    piece = out.connection.segment(0, "PA", GET[:3])
    for _ in range(5):
        assert out.feed(piece) == []
    out.says(0, GET[3:])
    assert out.across[0] == GET
    assert out.core.counters()["not_held"] == 4


def test_a_byte_that_comes_again_as_another_ends_the_flow(out):
    lies = out.connection.segment(0, "PA", GET[:8])
    out.connection.seq[0] -= 8
    truth = out.connection.segment(0, "PA", b"SSH-2.0-")
    out.core.events()
    out.feed(lies)
    out.feed(truth)
    assert out.across == [b"", b""]
    assert out.resets == 2
    assert drops(out.core) == [("tcp_differs", 0, 63, 0, 2)]
    assert out.says(0, b"more") != []
    assert out.across == [b"", b""]


def test_so_does_one_after_the_application_is_known_until_it_is_acknowledged(out):
    out.says(0, GET)
    out.connection.seq[0] -= len(GET)
    out.says(0, GET[:-1] + b"\r")
    assert out.across[0] == GET
    assert out.resets == 2


def test_a_segment_that_its_receiver_throws_away_is_dropped(out):
    out.connection.seq[1] += 5000
    assert out.says(0, GET) == []
    assert out.core.counters()["tcp_useless"] == 1


def test_after_three_seconds_it_is_unknown_and_the_rule_says_what_that_is(node, net):
    node.judge_by(asks_for("HTTP", unknown=Action.ALLOW))
    wire = Wire(node.core, net).opens()
    assert wire.waits(10) == []
    assert wire.says(0, b"GE") == []
    assert wire.waits(2.8) == []
    wire.waits(0.4)
    assert wire.across[0] == b"GE"
    assert (wire.app, wire.session.look) == (("unknown", 0), DECIDED)
    wire.acknowledges(1)
    assert wire.session.look == OVER
    assert len(node.core.flows) == 1


def test_without_such_a_word_it_does_not_match(out):
    out.says(0, b"GE")
    out.core.events()
    out.waits(3.2)
    assert out.across == [b"", b""]
    assert out.resets == 2
    assert drops(out.core) == [("default_deny", 0, 63, 0, 1)]


def test_what_nobody_recognises_is_unknown_at_once(node, net):
    node.judge_by(asks_for("HTTP"), always())
    wire = Wire(node.core, net).opens()
    wire.says(0, NOISE)
    wire.says(1, NOISE)
    wire.waits(3.2)
    assert (wire.app[0], wire.session.rule_id) == ("unknown", 9)
    assert wire.across == [NOISE, NOISE]


def test_a_super_frame_waits_as_a_whole(out):
    out.says(0, BIG)
    assert out.across[0] == BIG
    assert out.app == ("HTTP", CERTAIN)


def test_a_rule_that_denies_an_application_lets_others_pass(node, net):
    node.judge_by(asks_for("SSH", action=Action.DENY), always())
    wire = Wire(node.core, net).opens()
    wire.says(0, GET)
    assert wire.across[0] == GET
    assert wire.session.rule_id == 9
    other = Wire(node.core, net, sport=40001)
    other.connection.handshake(node.core)
    other.says(1, SSH_SERVER)
    other.says(0, SSH_CLIENT)
    assert other.across == [b"", b""]


def test_a_flow_whose_rule_names_no_application_is_as_ever(node, net):
    node.judge_by(always())
    wire = Wire(node.core, net).opens()
    assert wire.session.look == NONE
    assert len(node.core.flows) == len(node.core.services) == 1
    wire.says(0, SSH_CLIENT)
    assert wire.app == (None, 0)


def test_a_connection_that_nobody_saw_begin_is_unknown(node, net):
    node.judge_by(asks_for("HTTP", unknown=Action.DENY), always())
    wire = Wire(node.core, net)
    wire.says(0, GET)
    assert wire.across == [b"", b""]
    assert node.core.drops() == {"policy_deny": 1}
    assert wire.app == ("unknown", 0)


def test_one_that_was_open_before_a_rule_asks_is_unknown(node, net):
    node.judge_by(always())
    wire = Wire(node.core, net).opens()
    wire.says(0, GET)
    node.judge_by(asks_for("HTTP"), always())
    wire.says(0, GET)
    assert wire.across[0] == GET + GET
    assert (wire.app, wire.session.look) == (("unknown", 0), OVER)


def test_a_policy_that_ceases_to_ask_lets_all_go(out, node):
    out.says(0, GET[:3])
    node.judge_by(always())
    out.says(0, GET[3:])
    assert out.across[0] == GET
    assert out.app == (None, 0)
    out.acknowledges(1)
    assert len(out.core.flows) == 1


def test_one_that_denies_it_drops_all(out, node):
    out.says(0, GET[:3])
    node.judge_by()
    out.says(0, GET[3:])
    assert out.across == [b"", b""]
    assert out.resets == 2


def test_one_that_still_asks_changes_nothing(out, node):
    out.says(0, GET[:3])
    node.judge_by(asks_for("HTTP", number=8))
    assert out.says(0, GET[3:6]) == []
    out.says(0, GET[6:])
    assert out.across[0] == GET
    assert out.session.rule_id == 8


def test_one_that_asks_for_another_denies_what_is_known(out, node):
    out.says(0, GET)
    node.judge_by(asks_for("SSH"))
    out.says(1, OK)
    assert out.across == [GET, b""]
    assert out.resets == 2


def test_what_waits_is_freed_with_its_flow(out):
    out.says(0, GET[:3])
    out.core.lib.sg_core_port_delete(out.core.core, 0x0107)
    out.core.advance(0.2)
    assert out.across == [b"", b""]
    assert out.core.sessions() == []


def test_a_reset_passes_and_what_waited_is_dropped(out):
    out.says(0, GET[:3])
    assert out.feed(out.connection.segment(0, "R"))
    out.waits(4)
    assert out.across == [b"", b""]
    assert out.core.counters()["waited_in_vain"] == 1


def test_a_fin_waits_with_what_is_before_it(out):
    out.says(0, GET[:3])
    fin = out.connection.segment(0, "FA")
    assert out.feed(fin) == []
    assert out.feed(fin) == []
    out.waits(3.2)
    assert out.resets == 2


def test_a_fin_crosses_after_its_payload(out):
    rest = out.connection
    rest.segment(0, "PA", GET[:5])
    fin = rest.segment(0, "FA", GET[5:])
    rest.seq[0] -= len(GET) + 1
    assert out.feed(fin) == []
    sent = out.says(0, GET[:5])
    assert [payload(frame) for frame in sent] == [GET[5:], GET[:5]]


def test_data_in_a_syn_does_not_cross(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net)
    assert wire.says(0, GET, "S") == []
    assert node.core.drops() == {"not_held": 1}
    assert node.core.sessions() == []
    wire.connection.seq[0] -= len(GET) + 1
    wire.opens()
    wire.says(0, GET)
    assert wire.across[0] == GET


def test_no_memory_makes_it_unknown(out):
    out.core.lib.t_no_memory = 1
    out.says(0, GET)
    out.core.lib.t_no_memory = 0
    assert out.across == [b"", b""]
    assert out.core.counters()["hold_memory"] == 1
    assert out.app == ("unknown", 0)


@pytest.mark.parametrize("mode", [Mode.DISCOVER, Mode.MONITOR])
def test_a_mode_that_records_holds_nothing(node, net, mode):
    node.judge_by(asks_for("HTTP", action=Action.DENY), always(), mode=mode)
    wire = Wire(node.core, net).opens()
    assert wire.says(0, GET[:5])
    assert wire.core.flows == {}
    assert wire.says(0, GET[5:])
    assert wire.app == ("HTTP", CERTAIN)
    assert wire.session.violation
    (event,) = [e for e in node.core.events() if e.kind == VIOLATION]
    assert (event.app, event.proof, event.rule_id) == (1, CERTAIN, 7)
    wire.says(1, OK)
    wire.acknowledges(0)
    assert wire.across == [GET, OK]
    assert (wire.session.look, len(wire.core.flows)) == (OVER, 1)


def test_there_a_byte_that_differs_is_told(node, net):
    node.judge_by(asks_for("HTTP"), mode=Mode.MONITOR)
    wire = Wire(node.core, net).opens()
    wire.says(0, GET)
    wire.connection.seq[0] -= 3
    assert wire.says(0, b"xyz")
    assert ("violation", "tcp_differs") in node.core.told()
    assert not wire.resets


def test_there_it_is_unknown_when_it_goes_on_after_three_seconds(node, net):
    node.judge_by(asks_for("HTTP"), mode=Mode.MONITOR)
    wire = Wire(node.core, net).opens()
    wire.says(0, b"G")
    wire.waits(5)
    wire.says(0, b"E")
    assert wire.app == ("unknown", 0)
    assert wire.session.violation


def test_a_staged_rule_holds_nothing(node, net):
    node.judge_by(asks_for("HTTP", action=Action.DENY, staged=True), always())
    wire = Wire(node.core, net).opens()
    assert wire.says(0, GET[:4])
    assert wire.says(0, GET[4:])
    assert ("staged", "staged_deny") in node.core.told()
    assert wire.core.hits()[109][0] == 1
    wire.connection.seq[0] -= 3
    assert wire.says(0, b"xyz")
    assert not wire.resets


class TestDatagrams:
    def test_the_first_one_decides_for_all(self, node, net):
        node.judge_by(asks_for("DNS", unknown=Action.ALLOW))
        assert node.core.passes(net.out(udp(payload=NOISE)))
        (session,) = node.core.sessions()
        assert (session.app, session.look) == (63, OVER)
        assert len(node.core.flows) == 1
        assert node.core.services == {}

    def test_one_that_is_denied_denies_no_other(self, node, net):
        node.judge_by(asks_for("DNS"))
        for sport in (4000, 4001):
            assert not node.core.passes(net.out(udp(sport, payload=NOISE)))
        assert len(node.core.sessions()) == 2
        assert node.core.drops() == {"default_deny": 2}


SETTINGS = frame(4, b"", 0, 0)
ASKS_ETCD = frame(
    1, b"\x83\x86\x44" + plain("/etcdserverpb.KV/Range") + b"\x5f" + GRPC, 5
)
"""A request of gRPC for etcd."""


@pytest.mark.parametrize("app", ["gRPC", "etcd"])
def test_a_client_of_grpc_gets_the_settings_for_which_it_waits(node, net, app):
    node.judge_by(asks_for(app))
    wire = Wire(node.core, net).opens()
    wire.says(0, connection())
    assert wire.says(1, SETTINGS) != []
    wire.says(0, ASKS_ETCD)
    wire.waits(3.2)
    assert wire.across == [connection(ASKS_ETCD), SETTINGS]
    assert wire.app == ("etcd", CERTAIN)


def test_without_such_a_rule_nobody_gets_settings(node, net):
    node.judge_by(asks_for("HTTP"))
    wire = Wire(node.core, net).opens()
    wire.says(0, connection())
    wire.says(1, SETTINGS)
    assert wire.across == [b"", b""]


def test_nor_does_one_whose_server_answers_something_else(node, net):
    node.judge_by(asks_for("gRPC"))
    wire = Wire(node.core, net).opens()
    wire.says(0, connection())
    wire.says(1, SSH_SERVER)
    assert wire.across == [connection(), b""]
    wire.says(0, ASKS_ETCD)
    assert wire.across == [connection(), b""]
    assert wire.resets == 2


@pytest.mark.parametrize("app", ["HTTP2", "gRPC"])
def test_a_preface_alone_is_http2_once_nothing_more_is_waited_for(node, net, app):
    """A rule that denies HTTP/2 denies it, and so does one that denies what it may still become."""
    node.judge_by(asks_for(app, action=Action.DENY), always())
    wire = Wire(node.core, net).opens()
    wire.says(0, connection())
    wire.says(1, SETTINGS)
    wire.waits(3.2)
    assert wire.app == ("HTTP2", CERTAIN)
    assert wire.across == [b"", b""]

"""TCP: what opens, what is denied, what is reset, what the kernel is given."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from tests import packets
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    DROP,
    E2BIG,
    EGRESS,
    END,
    INGRESS,
    OTHER_PORT,
    PORT,
    Core,
    Rule,
)
from tests.unit.engine.core.wire import (
    CLIENT,
    SERVICE,
    Connection,
    checksums_hold,
    parse,
    ucmac,
)

BOTH_WAYS = pytest.mark.parametrize(
    "initiator", [EGRESS, INGRESS], ids=["egress", "ingress"]
)
WEB = Rule(proto=6, ports=(SERVICE, SERVICE), id=7)


def states(core):
    return [s.tcp_state for s in core.sessions()]


@BOTH_WAYS
def test_default_deny_drops_the_first_syn_silently(core, net, initiator):
    """Behaviour 17: no reply, no connection, a report with endpoints, direction and rule 0."""
    syn = Connection(net, initiator).segment(0, "S")
    assert not core.passes(syn)
    assert core.drops() == {"default_deny": 1}
    assert states(core) == [0]
    (event,) = core.events()
    assert (event.kind, event.rule_id, event.dir, event.proto) == (
        DROP,
        0,
        initiator,
        6,
    )
    assert (event.sport, event.dport, event.port_id) == (CLIENT, SERVICE, PORT)
    client = net.pod if initiator == EGRESS else net.peer
    assert bytes(event.saddr)[: len(net.address(client))] == net.address(client)


def test_a_denied_syn_is_answered_with_rst_where_the_policy_says_so(core, net):
    core.set_policy(Rule(DENY, id=3), rst=True)
    (reply,) = core.feed(Connection(net, EGRESS).segment(0, "S"))
    rst = parse(reply)
    assert rst.dst == ucmac()
    assert rst.src == packets.gateway_mac
    assert (rst[TCP].flags, rst[TCP].seq, rst[TCP].ack) == ("RA", 0, 1001)
    assert (rst[TCP].sport, rst[TCP].dport) == (SERVICE, CLIENT)
    assert checksums_hold(reply)
    assert core.drops() == {"policy_deny": 1}
    assert states(core) == [0]


def test_repeated_syns_are_told_once_and_counted(core, net):
    syn = Connection(net, EGRESS).segment(0, "S")
    for _ in range(5):
        core.feed(syn)
    assert core.told() == [("drop", "default_deny")]
    last = core.now
    core.advance(14)
    (event,) = core.events()
    assert (event.packets, event.time_ns) == (4, last)
    core.advance(14)
    assert core.events() == []
    core.feed(syn)
    assert [event.packets for event in core.events()] == [1]


@BOTH_WAYS
def test_rule_direction_is_the_initiators(core, net, initiator):
    core.set_policy(Rule(proto=6, dir=initiator))
    Connection(net, initiator).handshake(core)
    other = Connection(net, 3 - initiator, sport=41000)
    assert not core.passes(other.segment(0, "S"))


@BOTH_WAYS
def test_from_its_syn_on_the_kernel_carries_both_directions(core, net, initiator):
    generation = core.set_policy(WEB)
    connection = Connection(net, initiator)
    assert core.passes(connection.segment(0, "S"))
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}
    ((key, flow),) = core.flows.items()
    assert core.sealed[key] == generation
    assert flow.last_seen == core.tick()
    pod, peer = net.address(net.pod), net.address(net.peer)
    ports = (CLIENT, SERVICE) if initiator == EGRESS else (SERVICE, CLIENT)
    assert int.from_bytes(key[:2], "little") == PORT
    assert key[2:4] == bytes([6, 0])
    assert key[4:] == pod + peer + b"".join(p.to_bytes(2, "big") for p in ports)
    (session,) = core.sessions()
    assert (session.cached, session.rule_id, session.dir) == (1, 7, initiator)
    assert list(session.packets) == [1, 0]


def test_later_packets_do_not_write_the_flow_map_again(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    for _ in range(10):
        assert core.passes(connection.segment(1, "PA", b"data"))
    assert core.puts == 1


def test_entries_that_went_missing_are_written_again(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    core.flows.clear()
    core.advance(2)
    assert core.passes(connection.segment(1, "PA", b"data"))
    assert len(core.flows) == 1


@BOTH_WAYS
def test_policy_change_resets_both_sides_and_blocks_the_rest(core, net, initiator):
    """Behaviour 18, with sequence numbers that both stacks take as exact."""
    core.set_policy(WEB)
    connection = Connection(net, initiator).established(core)
    core.events()
    core.set_policy(Rule(DENY, id=9))
    frame = connection.segment(0, "PA", b"more")
    original = parse(frame)
    first, second = (parse(sent) for sent in core.feed(frame))
    to_receiver, to_sender = first, second
    assert (to_receiver.src, to_receiver.dst) == (original.src, original.dst)
    assert to_receiver[TCP].seq == original[TCP].seq
    assert "R" in to_receiver[TCP].flags
    assert (to_sender.src, to_sender.dst) == (original.dst, original.src)
    assert to_sender[TCP].seq == original[TCP].ack
    assert to_sender[TCP].flags == "R"
    assert (to_sender[TCP].sport, to_sender[TCP].dport) == (SERVICE, CLIENT)
    assert all(checksums_hold(bytes(rst)) for rst in (first, second))
    assert core.flows == {}
    assert core.drops() == {"blocked_connection": 1}
    assert core.told() == [("end", "none"), ("drop", "blocked_connection")]
    (session,) = core.sessions()
    assert (session.verdict, session.rule_id) == (DENY, 9)


def test_a_blocked_connection_is_reset_a_few_times_then_dropped_in_the_kernel(
    core, net
):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    generation = core.set_policy()
    resets = len(core.feed(connection.segment(0, "PA", b"more"))) - 1
    for _ in range(20):
        resets += len(core.feed(connection.segment(1, "A")))
    assert resets == 8
    assert core.ways() == {EGRESS: DENY, INGRESS: DENY}
    assert {core.sealed[key] for key in core.flows} == {generation}
    assert len(core.flows) == 1


def test_a_reset_is_not_answered_with_a_reset(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    core.set_policy()
    core.feed(connection.segment(0, "PA", b"more"))
    assert core.feed(connection.segment(1, "RA")) == []


def test_a_blocked_connection_passes_again_when_the_policy_allows_it_again(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    core.set_policy()
    core.feed(connection.segment(0, "PA", b"more"))
    core.set_policy(WEB)
    assert core.passes(connection.segment(0, "PA", b"again"))
    assert core.ways() == {EGRESS: ALLOW, INGRESS: ALLOW}


def test_policy_change_that_still_allows_restamps_the_entries(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    core.kernel_carries(5)
    generation = core.set_policy(Rule(id=11))
    assert core.passes(connection.segment(0, "PA", b"more"))
    assert {core.sealed[key] for key in core.flows} == {generation}
    (session,) = core.sessions()
    assert session.rule_id == 11
    assert session.packets[0] + session.packets[1] == 5 + 10


def test_a_new_syn_on_an_open_tuple_is_judged_by_who_sent_it(core, net):
    """The peer cannot come in through a connection that the workload opened."""
    core.set_policy(Rule(dir=EGRESS))
    Connection(net, EGRESS).established(core)
    reverse = Connection(net, INGRESS, sport=SERVICE, dport=CLIENT)
    assert not core.passes(reverse.segment(0, "S"))
    assert sorted(states(core)) == [0, 1]


def test_midstream_connections_go_on_after_an_attach(core, net):
    core.set_policy(Rule(dir=INGRESS, proto=6, ports=(SERVICE, SERVICE)))
    connection = Connection(net, INGRESS)
    assert core.passes(connection.segment(1, "PA", b"data"))
    (session,) = core.sessions()
    assert (session.midstream, session.dir, session.sport) == (1, INGRESS, CLIENT)
    assert len(core.flows) == 1


def test_listeners_tell_who_opened_a_midstream_connection(core, net):
    """The smaller port would say: the workload is the client."""
    core.set_policy(Rule(dir=INGRESS, proto=6, ports=(50051, 50051)))
    ports = core.ffi.new("uint16_t[]", [50051])
    assert core.lib.sg_core_listeners_set(core.core, PORT, ports, 1) == 0
    connection = Connection(net, INGRESS, dport=50051)
    assert core.passes(connection.segment(1, "PA", b"data"))


@pytest.mark.parametrize("listens", [None, 21, 30005, 40000])
@pytest.mark.parametrize("side", [0, 1], ids=["client", "server"])
@pytest.mark.parametrize(
    ("sport", "dport"), [(40000, 30005), (30005, 40000), (40000, 40000)]
)
@pytest.mark.parametrize("allowed", [EGRESS, INGRESS], ids=["egress", "ingress"])
def test_midstream_a_rule_that_allows_either_way_keeps_it(
    core, net, allowed, sport, dport, side, listens
):
    """A guess is no verdict: a listener may be closed (FTP), and a client may have any port."""
    core.set_policy(Rule(dir=allowed, proto=6, ports=(dport, dport)))
    if listens:
        ports = core.ffi.new("uint16_t[]", [listens])
        assert core.lib.sg_core_listeners_set(core.core, PORT, ports, 1) == 0
    connection = Connection(net, allowed, sport=sport, dport=dport)
    proven = allowed == EGRESS and sport == listens and sport < dport
    frame = connection.segment(side, "PA", b"data")
    assert (core.feed(frame) == [frame]) == (not proven)
    if not proven:
        (session,) = core.sessions()
        assert (session.dir, session.dport) == (allowed, dport)


def test_midstream_a_connection_turns_round_with_the_policy(core, net):
    """It was adopted as the workload's, and is what the next policy allows: the peer's."""
    core.set_policy(mode="discover")
    connection = Connection(net, INGRESS, sport=30000, dport=50000)
    assert core.passes(connection.segment(1, "PA", b"data"))
    assert core.passes(connection.segment(0, "A"))
    assert core.passes(connection.segment(0, "FA"))
    (session,) = core.sessions()
    assert (session.dir, list(session.packets)) == (EGRESS, [1, 2])
    core.set_policy(Rule(dir=INGRESS, proto=6, ports=(50000, 50000)))
    assert core.passes(connection.segment(1, "PA", b"more"))
    (session,) = core.sessions()
    assert (session.dir, list(session.packets)) == (INGRESS, [2, 2])
    assert (session.tcp_state, session.violation) == (5, 0)
    core.set_policy()
    assert len(core.feed(connection.segment(1, "PA", b"even more"))) == 2
    core.set_policy(Rule(dir=INGRESS, proto=6, ports=(50000, 50000)))
    assert core.passes(connection.segment(1, "PA", b"again"))


def test_midstream_no_syn_comes_through_what_was_kept(core, net):
    """Kept as the workload's own: the peer opens nothing by it."""
    core.set_policy(Rule(dir=EGRESS, proto=6))
    ports = core.ffi.new("uint16_t[]", [50000])
    assert core.lib.sg_core_listeners_set(core.core, PORT, ports, 1) == 0
    forged = Connection(net, INGRESS, sport=30000, dport=50000)
    assert core.passes(forged.segment(0, "A"))
    assert not core.passes(forged.segment(0, "S"))


def test_midstream_what_the_policy_denies_is_reset(core, net):
    connection = Connection(net, EGRESS)
    sent = [parse(frame) for frame in core.feed(connection.segment(0, "PA", b"data"))]
    assert [frame[TCP].flags for frame in sent] == ["RA", "R"]
    assert core.drops() == {"default_deny": 1}


@pytest.mark.parametrize("flags", ["FA", "RA", "R"])
def test_fin_and_rst_without_a_session_are_judged_and_leave_none(core, net, flags):
    frame = Connection(net, EGRESS).segment(0, flags)
    assert core.feed(frame) == []
    core.set_policy(WEB)
    assert core.passes(frame)
    assert core.sessions() == []


def test_closing_goes_through_the_states_and_takes_the_entries_away(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    core.kernel_carries(3)
    assert core.passes(connection.segment(0, "FA"))
    assert states(core) == [4]
    assert core.passes(connection.segment(1, "A"))
    assert states(core) == [5]
    assert core.passes(connection.segment(1, "FA"))
    assert states(core) == [9]
    assert core.passes(connection.segment(0, "A"))
    assert states(core) == [6]
    assert core.flows == {}
    end = core.events()[-1]
    assert (end.kind, end.packets) == (END, 8 + 6)
    core.advance(16)
    assert core.sessions() == []


def test_rst_ends_the_session_and_its_entries(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    assert core.passes(connection.segment(1, "RA"))
    assert core.flows == {}
    assert core.told()[-1] == ("end", "none")
    core.advance(59)
    assert states(core) == [7]
    core.advance(2)
    assert core.sessions() == []


def test_a_blind_rst_does_not_take_the_flow_from_the_kernel_for_good(core, net):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS).established(core)
    connection.segment(1, "R")
    assert core.passes(connection.segment(1, "R"))
    assert core.passes(connection.segment(1, "PA", b"alive"))
    assert states(core) == [1]
    assert len(core.flows) == 1


@pytest.mark.parametrize(
    "flags", ["", "F", "P", "U", "FP", "PU", "FPU", "SF", "SR", "FSPAU", "FSRPAU"]
)
def test_impossible_flags_are_dropped_in_protect_and_counted_elsewhere(
    core, net, flags
):
    core.set_policy(Rule())
    frame = Connection(net, EGRESS).segment(0, flags)
    assert not core.passes(frame)
    assert core.drops() == {"tcp_flags": 1}
    core.set_policy(mode="monitor")
    assert core.passes(frame)
    assert core.passed("tcp_flags") == 1


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [(1, 20), (3, 30)],
    ids=["opening", "established without data"],
)
def test_timeouts_of_what_never_spoke(core, net, steps, seconds):
    core.set_policy(WEB)
    connection = Connection(net, EGRESS)
    for side, flags in ((0, "S"), (1, "SA"), (0, "A"))[:steps]:
        core.passes(connection.segment(side, flags))
    core.advance(seconds - 1)
    assert len(core.sessions()) == 1
    core.advance(2)
    assert core.sessions() == []
    assert core.flows == {}


def test_the_kernels_packets_keep_a_session_alive_and_are_counted(core, net):
    core.set_policy(WEB)
    Connection(net, EGRESS).established(core)
    core.advance(1150)
    core.kernel_carries(10)
    core.advance(1150)
    (session,) = core.sessions()
    assert session.packets[0] + session.packets[1] == 4 + 20
    core.events()
    core.advance(60)
    assert core.sessions() == []
    (end,) = core.events()
    assert (end.kind, end.packets) == (END, 24)


def test_a_connection_that_expired_keeps_its_initiator(core, net):
    """The server's port is the larger one: a guess alone would turn the flow round."""
    core.set_policy(Rule(dir=EGRESS))
    connection = Connection(net, EGRESS, sport=40000, dport=50051)
    connection.handshake(core)
    core.advance(40)
    assert core.sessions() == []
    assert core.passes(connection.segment(1, "PA", b"late"))
    (session,) = core.sessions()
    assert session.dir == EGRESS


def test_a_full_flow_map_leaves_the_flow_with_the_engine(core, net):
    core.set_policy(WEB)
    core.put_error = E2BIG
    connection = Connection(net, EGRESS).established(core)
    assert core.flows == {}
    core.put_error = 0
    assert core.passes(connection.segment(0, "PA", b"soon"))
    assert core.flows == {}
    core.advance(11)
    assert core.passes(connection.segment(0, "PA", b"later"))
    assert len(core.flows) == 1


def test_without_the_flow_cache_nothing_is_written(core_module, net):
    core = Core(core_module, cache=False)
    core.set_policy(WEB)
    Connection(net, EGRESS).established(core)
    assert core.puts == 0
    core.close()


def test_deleting_a_port_takes_its_sessions_and_entries_only(core, net):
    core.set_policy(WEB)
    core.set_policy(WEB, port=OTHER_PORT)
    Connection(net, EGRESS).established(core)
    kept = net.out(TCP(sport=CLIENT, dport=SERVICE, flags="A"), port=OTHER_PORT)
    assert core.passes(kept)
    core.lib.sg_core_port_delete(core.core, PORT)
    core.advance(0.1)
    assert [s.port_id for s in core.sessions()] == [OTHER_PORT]
    assert core.lib.sg_core_session_count(core.core) == 1
    assert {int.from_bytes(key[:2], "little") for key in core.flows} == {OTHER_PORT}
    assert not core.passes(Connection(net, EGRESS).segment(0, "S"))
    assert core.drops() == {"no_policy": 1}


@BOTH_WAYS
@pytest.mark.parametrize(
    ("then", "answer"),
    [
        ([], 0),
        ([(1, "RA", b"")], 0),
        ([(1, "SA", b"")], 0),
        ([(1, "SA", b""), (0, "R", b"")], 0),
        ([(1, "SA", b""), (0, "A", b"")], 1),
        ([(1, "SA", b""), (0, "A", b""), (0, "RA", b"")], 1),
        ([(1, "SA", b""), (0, "A", b""), (0, "PA", b"x")], 2),
    ],
    ids=["silence", "refused", "half", "half-reset", "open", "open-reset", "data"],
)
def test_a_finished_handshake_is_an_answer_and_nothing_less(
    core, net, initiator, then, answer
):
    """Half a handshake is how ports are scanned."""
    core.set_policy(mode="discover", default=ALLOW)
    talk = Connection(net, initiator)
    for side, flags, payload in [(0, "S", b""), *then]:
        core.feed(talk.segment(side, flags, payload))
    assert [s.answer for s in core.sessions()] == [answer]
    core.advance(1300)
    assert [event.answer for event in core.events() if event.kind == END] == [answer]


def test_what_the_kernel_carries_back_is_an_answer(core, net):
    core.set_policy(mode="discover", default=ALLOW)
    core.feed(Connection(net, EGRESS).segment(0, "A"))
    assert [s.answer for s in core.sessions()] == [0]
    core.kernel_carries(1)
    assert [s.answer for s in core.sessions()] == [2]

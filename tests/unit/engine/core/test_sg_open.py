"""Connections that a program opens by itself: what it may, and what becomes of its records."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from pyctl import abi
from pyctl.model.policy import Action, NodeRule, PortMatch
from pyctl.model.workload import Mode
from tests import packets
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    EGRESS,
    END,
    FIN,
    INGRESS,
    PORT,
    RST,
    SECOND,
    Core,
    Rule,
)
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.opening import BACK, WEB, Kernel
from tests.unit.engine.core.wire import CLIENT, NETS, SERVICE, Connection, sctp, udp

SERVED = NodeRule(7, 0, 0, (PortMatch(6, SERVICE, SERVICE),), Action.ALLOW)
ANY = NodeRule(7, 0, 0, ALL, Action.ALLOW)
DHCP = [67, 68, 546, 547]
ASKED = [1900, 3702, 5353, 5355]
BOTH_WAYS = pytest.mark.parametrize(
    "initiator", [EGRESS, INGRESS], ids=["egress", "ingress"]
)


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def kernel(core, net, request):
    """Name: kernel. Scope: function. Depends: core, net. The port's policy allows the service."""
    core.set_policy(WEB)
    return Kernel(core, net, request.param)


def ends(core):
    return [event for event in core.events() if event.kind == END]


def services(core):
    return [
        (abi.unpack("seg_service_key", key), service[0])
        for key, service in core.services.items()
    ]


@BOTH_WAYS
def test_a_syn_that_is_allowed_makes_its_service_known(node, net, initiator):
    generation = node.judge_by(SERVED)
    assert node.core.passes(Connection(net, initiator).segment(0, "S"))
    [(key, service)] = services(node.core)
    assert (key.port_id, key.dir, key.proto, key.family) == (
        PORT,
        initiator,
        6,
        net.family,
    )
    assert socket.ntohs(key.service_port) == SERVICE
    assert bytes(key.local).rstrip(b"\0") == net.address(net.pod).rstrip(b"\0")
    assert key.peer_class == node.core.classes.find(ip_address(net.peer)) > 0
    assert (service.generation, service.verdict) == (generation, ALLOW)
    assert service.rule_id == 7


@pytest.mark.parametrize(
    "why",
    [
        "denied",
        "recorded as a violation",
        "without a flow map",
        "not a SYN",
        "data in it",
        "a tag",
        "extension headers",
        "rules of the port's own",
        "classes that no program reads",
        "a session of an earlier round",
    ],
)
def test_what_the_engine_alone_can_judge_makes_no_service_known(node, net, why):
    core = node.core
    core.classes.error = 12 if why == "classes that no program reads" else 0
    if why == "denied":
        node.judge_by()
    elif why == "recorded as a violation":
        node.judge_by(mode=Mode.MONITOR)
    elif why == "rules of the port's own":
        node.judge_by()
        core.set_policy(WEB)
    else:
        node.judge_by(SERVED, cache=why != "without a flow map")
    connection = Connection(net, INGRESS)
    vlan = 5 if why == "a tag" else None
    if why == "not a SYN":
        core.feed(connection.segment(0, "A"))
    elif why == "data in it":
        core.feed(connection.segment(0, "S", b"early"))
    elif why == "extension headers":
        six = NETS[1]
        core.feed(extended(Connection(six, INGRESS).segment(0, "S")))
    elif why == "a session of an earlier round":
        core.feed(connection.segment(0, "S"))
        core.services.clear()
        core.now += SECOND
        assert core.passes(connection.segment(0, "S"))
    else:
        core.feed(connection.segment(0, "S"), vlan=vlan)
    assert core.services == {}


def extended(frame):
    """The IPv6 frame with a destination options header."""
    head, ip, rest = frame[:14], bytearray(frame[14:54]), frame[54:]
    length = int.from_bytes(ip[4:6], "big") + 8
    ip[4:6] = length.to_bytes(2, "big")
    option = bytes([ip[6], 0, 1, 4, 0, 0, 0, 0])
    ip[6] = 60
    return head + bytes(ip) + option + rest


def test_in_discover_what_no_rule_denies_is_a_service(node, net):
    node.judge_by(mode=Mode.DISCOVER)
    assert node.core.passes(Connection(net, INGRESS).segment(0, "S"))
    [(_, service)] = services(node.core)
    assert service.rule_id == 0


def test_the_record_makes_the_session_that_the_syn_would_have_made(core, kernel):
    kernel.opens()
    kernel.tells()
    (session,) = core.sessions()
    assert (session.dir, session.rule_id, session.tcp_state) == (kernel.initiator, 7, 2)
    assert (session.sport, session.dport) == (CLIENT + 1, SERVICE)
    assert (list(session.packets), list(session.bytes)) == ([1, 0], [74, 0])
    assert (session.kernel_packets, session.cached) == (1, 1)
    assert session.created_ns == core.now
    assert session.generation == core.generation
    assert core.hits()[70][0] == 1


def test_a_record_that_is_told_twice_says_nothing_new(core, kernel):
    kernel.opens()
    kernel.tells()
    (before,) = core.sessions()
    core.now += SECOND
    kernel.tells()
    (after,) = core.sessions()
    assert (after.id, after.created_ns) == (before.id, before.created_ns)
    assert core.hits()[70][0] == 1
    assert len(core.flows) == 1


def test_such_a_connection_ends_by_the_kernels_word_with_all_its_packets(core, kernel):
    session = kernel.opens()
    kernel.tells()
    core.kernel_carries(3, way=BACK[kernel.initiator])
    core.kernel_carries(2, way=kernel.initiator, payload=True)
    kernel.closes(session, kernel.initiator, FIN)
    kernel.closes(session, BACK[kernel.initiator], FIN)
    core.advance(3)
    (end,) = ends(core)
    assert (end.packets, end.back_packets, end.kernel_packets) == (6, 3, 6)
    assert (end.rule_id, end.dir, end.answer) == (7, kernel.initiator, 2)
    assert core.flows == {}


def test_a_close_of_the_tuples_former_connection_ends_nothing(core, kernel):
    former = kernel.opens()
    core.flows.clear()
    core.now += SECOND
    kernel.opens()
    kernel.tells()
    kernel.closes(former, kernel.initiator, RST)
    (session,) = core.sessions()
    assert session.tcp_state == 2


def test_a_session_that_is_alive_goes_on_with_the_new_entries(core, net, kernel):
    """A stray SYN on its tuple, while the kernel has no entry of it: it keeps what it has counted."""
    connection = Connection(net, kernel.initiator)
    assert core.passes(connection.segment(0, "S"))
    (before,) = core.sessions()
    core.flows.clear()
    core.now += SECOND
    session = kernel.opens(CLIENT)
    kernel.tells()
    (after,) = core.sessions()
    assert (after.id, after.created_ns) == (before.id, before.created_ns)
    assert list(after.packets) == [2, 0]
    assert ends(core) == []
    kernel.closes(session, kernel.initiator, RST)
    core.advance(1)
    assert [end.packets for end in ends(core)] == [2]


def test_a_session_that_is_over_makes_room_for_the_new_connection(core, net, kernel):
    connection = Connection(net, kernel.initiator)
    assert core.passes(connection.segment(0, "S"))
    core.feed(connection.segment(1, "RA"))
    assert core.flows == {}
    core.now += SECOND
    kernel.opens(CLIENT)
    kernel.tells()
    (session,) = core.sessions()
    assert (session.created_ns, session.tcp_state) == (core.now, 2)
    assert len(core.flows) == 1
    assert len(ends(core)) == 1


def test_an_event_older_than_the_entries_of_now_says_nothing(core, net, kernel):
    """An engine died after it had handled it, and what came after it."""
    kernel.opens(CLIENT)
    core.flows.clear()
    core.now += SECOND
    assert core.passes(Connection(net, kernel.initiator).segment(0, "S"))
    (before,) = core.sessions()
    kernel.tells()
    (after,) = core.sessions()
    assert after.id == before.id
    assert len(core.flows) == 1
    assert ends(core) == []


@pytest.mark.parametrize(
    ("back", "closes", "answered"),
    [(0, 0, 0), (1, 0, 0), (1, RST, 0), (1, "goes on", 1)],
    ids=["silence", "half a handshake", "a scan", "a handshake"],
)
def test_the_syn_alone_is_no_word_of_the_initiators(
    core, kernel, back, closes, answered
):
    session = kernel.opens()
    kernel.tells()
    core.kernel_carries(back, way=BACK[kernel.initiator])
    if closes == "goes on":
        core.kernel_carries(1, way=kernel.initiator)
    elif closes:
        core.kernel_carries(1, way=kernel.initiator)
        kernel.closes(session, kernel.initiator, closes)
    (found,) = core.sessions()
    assert found.answer == answered


def test_a_policy_that_changed_since_judges_the_next_packet(core, net, kernel):
    kernel.opens(CLIENT)
    core.set_policy(Rule(proto=6, action=DENY, id=9))
    kernel.tells()
    (session,) = core.sessions()
    assert session.generation == core.generation - 1
    connection = Connection(net, kernel.initiator)
    frame = connection.segment(0, "A")
    assert frame not in core.feed(frame)
    assert [(end.packets, end.rule_id) for end in ends(core)] == [(1, 7)]


def test_a_repeated_syn_belongs_to_it(core, net, kernel):
    kernel.opens(CLIENT)
    kernel.tells()
    assert core.passes(Connection(net, kernel.initiator).segment(0, "S"))
    (session,) = core.sessions()
    assert list(session.packets) == [2, 0]


def test_without_a_policy_yet_the_flow_is_counted_and_waits_for_one(
    core_module, core, net, kernel
):
    """As what a former engine left is: a new one reads the ring before it has been taught."""
    kernel.opens(CLIENT)
    core.kernel_carries(3, way=kernel.initiator)
    new = Core(core_module)
    new.flows, new.now, new.generation = core.flows, core.now, core.generation
    kernel.core = new
    kernel.tells()
    (session,) = new.sessions()
    assert (list(session.packets), session.kernel_packets) == ([4, 0], 4)
    assert new.flows == {}
    new.set_policy(WEB)
    assert new.passes(Connection(net, kernel.initiator).segment(0, "A"))
    (session,) = new.sessions()
    assert list(session.packets) == [5, 0]
    new.close()


@pytest.mark.parametrize("since", [0, 2], ids=["just now", "a while ago"])
def test_a_port_that_was_deleted_meanwhile_stays_so(core, kernel, since):
    """Its last connections are told, and nothing of them is kept."""
    kernel.opens(CLIENT)
    core.kernel_carries(3, way=kernel.initiator)
    core.lib.sg_core_port_delete(core.core, PORT)
    core.advance(since)
    kernel.tells()
    core.advance(0.3)
    assert core.flows == {}
    assert core.sessions() == []
    assert [end.packets for end in ends(core)] == [4]


def test_without_memory_for_it_the_flow_is_told_and_goes_on_in_the_engine(core, kernel):
    kernel.opens()
    core.lib.t_no_memory = 1
    try:
        kernel.tells()
    finally:
        core.lib.t_no_memory = 0
    assert core.flows == {}
    assert [end.packets for end in ends(core)] == [1]


def send(net, way, layer, **ip):
    return net.out(layer, **ip) if way == EGRESS else net.into(layer, **ip)


@BOTH_WAYS
@pytest.mark.parametrize("what", ["UDP", "echo", "SCTP"])
def test_an_allowed_service_is_known_to_the_programs(node, net, initiator, what):
    generation, core = node.judge_by(ANY), node.core
    layer = {"UDP": udp(), "echo": net.ping(), "SCTP": sctp(1)}[what]
    assert core.passes(send(net, initiator, layer))
    [(key, service)] = services(core)
    assert (key.dir, key.family) == (initiator, net.family)
    port = (8 if net.family == 4 else 128) if what == "echo" else SERVICE
    assert socket.ntohs(key.service_port) == port
    assert (service.generation, service.verdict, service.rule_id) == (
        generation,
        ALLOW,
        7,
    )
    assert service.learned_ns == core.now


def test_it_is_written_with_the_first_packet_alone(node, net):
    """A burst that settles comes here as a whole."""
    node.judge_by(ANY)
    core = node.core
    core.feed(net.out(udp()))
    core.services.clear()
    for _ in range(5):
        core.feed(net.out(udp()))
        core.feed(net.into(udp(SERVICE, CLIENT)))
    assert core.services == {}


@pytest.mark.parametrize("port", [*DHCP, *ASKED])
def test_ports_of_groups_and_of_dhcp_are_the_engines(node, net, port):
    node.judge_by(ANY)
    core = node.core
    core.feed(net.into(udp(dport=port)))
    assert core.services == {}


@pytest.mark.parametrize(
    "what",
    ["an echo reply", "SCTP data", "a denial", "a violation", "a group", "a broadcast"],
)
def test_what_begins_nothing_or_is_not_just_allowed_is_the_engines(node, net, what):
    node.judge_by(ANY)
    core = node.core
    frame = net.out(udp())
    if what == "an echo reply":
        frame = net.out(net.pong())
    elif what == "SCTP data":
        frame = net.out(sctp(0))
    elif what == "a denial":
        node.judge_by()
    elif what == "a violation":
        node.judge_by(mode=Mode.MONITOR)
    elif what == "a group":
        group = packets.group_ip4 if net.family == 4 else packets.group_ip6
        frame = net.out(udp(), peer=group)
    else:
        frame = b"\xff" * 6 + frame[6:]
    core.feed(frame)
    assert core.services == {}


def test_so_are_fragments_and_extension_headers(node, net):
    node.judge_by(ANY)
    core = node.core
    for piece in net.fragments(net.out(udp(payload=b"x" * 1500))):
        core.feed(piece)
    core.feed(extended(NETS[1].into(udp())))
    assert len(core.sessions()) == 2
    assert core.services == {}


def test_so_is_what_a_staged_rule_would_decide(node, net):
    for action in (Action.DENY, Action.ALLOW):
        staged = NodeRule(9, 0, 0, ALL, action, staged=True, key=90)
        node.judge_by(staged, ANY, mode=Mode.PROTECT)
        node.core.feed(net.out(udp()))
        assert node.core.services == {}


@BOTH_WAYS
def test_the_record_makes_the_session(core, net, initiator):
    for proto in (17, net.icmp):
        core.set_policy(Rule(id=7))
        kernel = Kernel(core, net, initiator, proto)
        kernel.opens()
        kernel.tells()
        kernel.tells()
        core.kernel_carries(2, way=BACK[initiator])
        (session,) = core.sessions()
        assert (session.dir, session.proto, session.rule_id) == (initiator, proto, 7)
        assert (list(session.packets), session.answer) == ([1, 2], 2)
        core.advance(130)
        (end,) = [event for event in core.events() if event.kind == END]
        assert (end.packets, end.back_packets, end.kernel_packets) == (3, 2, 3)
        assert (core.flows, core.sessions()) == ({}, [])


@BOTH_WAYS
def test_an_answer_whose_entries_were_missing_opens_nothing(core, net, initiator):
    """Both ends may begin, with the ports swapped: the session knows which did."""
    core.set_policy(Rule())
    assert core.passes(send(net, initiator, udp(SERVICE, CLIENT + 1)))
    (before,) = core.sessions()
    core.flows.clear()
    core.now += SECOND
    kernel = Kernel(core, net, BACK[initiator], 17)
    kernel.opens(CLIENT + 1)
    kernel.tells()
    (after,) = core.sessions()
    assert (after.id, after.dir) == (before.id, initiator)
    assert list(after.packets) == [1, 1]
    assert core.passes(send(net, initiator, udp(SERVICE, CLIENT + 1)))
    core.advance(130)
    (end,) = [event for event in core.events() if event.kind == END]
    assert (end.dir, end.packets, end.back_packets) == (initiator, 3, 1)


def test_of_another_policy_the_session_knows_nothing(core, net):
    """The kernel judged by the newer one: what it opened is a flow of its own."""
    core.set_policy(Rule(id=1))
    assert core.passes(net.out(udp(SERVICE, CLIENT + 1)))
    core.flows.clear()
    core.set_policy(Rule(id=7, dir=INGRESS))
    kernel = Kernel(core, net, INGRESS, 17)
    core.now += SECOND
    kernel.opens(CLIENT + 1)
    kernel.tells()
    (session,) = core.sessions()
    assert (session.dir, session.rule_id) == (INGRESS, 7)
    assert len([event for event in core.events() if event.kind == END]) == 1


def test_an_answer_without_entries_is_the_engines_and_opens_nothing(core, net):
    """The service that it seems to be for was never learned: the workload opened the flow."""
    core.set_policy(Rule(dir=EGRESS))
    assert core.passes(net.out(udp()))
    core.flows.clear()
    core.services.clear()
    assert core.passes(net.into(udp(SERVICE, CLIENT)))
    (session,) = core.sessions()
    assert (session.dir, list(session.packets)) == (EGRESS, [1, 1])
    assert core.services == {}


def test_a_flow_that_was_denied_since_ends_before_the_new_one(core, net):
    core.set_policy(Rule())
    assert core.passes(net.out(udp(CLIENT + 1)))
    core.set_policy(Rule(action=DENY))
    core.feed(net.out(udp(CLIENT + 1)))
    core.flows.clear()
    core.set_policy(Rule())
    core.now += SECOND
    kernel = Kernel(core, net, EGRESS, 17)
    kernel.opens()
    kernel.tells()
    (session,) = core.sessions()
    assert (session.verdict, list(session.packets)) == (ALLOW, [1, 0])

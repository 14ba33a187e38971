"""Connections that a program opens by itself: what it may, and what becomes of its records."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from scapy.layers.inet import TCP

from pyctl import abi
from pyctl.engine.node_records import pack_members
from pyctl.model.policy import Action, Members, NodePolicy, NodeRule, PortMatch
from pyctl.model.workload import Mode
from tests.unit.engine.core.harness import (
    ALLOW,
    DENY,
    EGRESS,
    END,
    FIN,
    INGRESS,
    OTHER_PORT,
    PORT,
    RST,
    SECOND,
    Core,
    Rule,
)
from tests.unit.engine.core.node import head
from tests.unit.engine.core.wire import CLIENT, NETS, SERVICE, Connection, udp

WEB = Rule(proto=6, ports=(SERVICE, SERVICE), id=7)
SERVED = NodeRule(7, 0, 0, (PortMatch(6, SERVICE, SERVICE),), Action.ALLOW)
BY_KERNEL = 1 << 63
BOTH_WAYS = pytest.mark.parametrize(
    "initiator", [EGRESS, INGRESS], ids=["egress", "ingress"]
)
BACK = {EGRESS: INGRESS, INGRESS: EGRESS}


class Kernel:
    """A program that opens connections of the service that the core has allowed."""

    def __init__(self, core: Core, net: object, initiator: int) -> None:
        self.core, self.net, self.initiator = core, net, initiator
        self.records: list[object] = []

    def opens(self, client: int = CLIENT + 1, rule_id: int = 7) -> int:
        """Make both entries, and give the record; the session's number."""
        core, ffi = self.core, self.core.ffi
        session = BY_KERNEL | core.now
        ends = (self.net.pod, self.net.peer)
        source, destination = ends if self.initiator == EGRESS else ends[::-1]
        record = ffi.new("struct seg_open_event *")
        record.session, record.generation = session, core.generation
        record.rule_id, record.rule_key, record.family = rule_id, 70, self.net.family
        for way, one, other, ports in (
            (self.initiator, source, destination, (client, SERVICE)),
            (BACK[self.initiator], destination, source, (SERVICE, client)),
        ):
            raw = self.net.address(one), self.net.address(other)
            if self.net.family == 4:
                key = ffi.new("struct seg_flow_key4 *")
                key.saddr, key.daddr = (int.from_bytes(each, "little") for each in raw)
            else:
                key = ffi.new("struct seg_flow_key6 *")
                ffi.buffer(key.saddr)[:], ffi.buffer(key.daddr)[:] = raw
            key.port_id, key.dir, key.proto = PORT, way, 6
            key.sport, key.dport = map(socket.htons, ports)
            flow = {
                "generation": core.generation,
                "session": session,
                "last_seen_ns": core.now,
                "timeout_s": 1200,
                "verdict": ALLOW,
            }
            if way == self.initiator:
                flow |= {"packets": 1, "bytes": 74}
                named = record.key
                named.port_id, named.dir, named.proto = PORT, way, 6
                named.sport, named.dport = map(socket.htons, ports)
                ffi.buffer(named.saddr)[: len(raw[0])] = raw[0]
                ffi.buffer(named.daddr)[: len(raw[1])] = raw[1]
            name = core._key(self.net.family, key)
            assert name not in core.flows
            core.flows[name] = ffi.new("struct seg_flow *", flow)
        self.records.append(record)
        return session

    def tells(self) -> None:
        """Hand all records over once more."""
        for record in self.records:
            self.core.lib.sg_core_open_event(self.core.core, record, self.core.now)

    def closes(self, session: int, way: int, close: int) -> None:
        record = self.core.ffi.new("struct seg_flow_key6 *", self.records[-1].key)
        if way != self.initiator:
            record.saddr, record.daddr = (
                self.records[-1].key.daddr,
                self.records[-1].key.saddr,
            )
            record.sport, record.dport = record.dport, record.sport
        for name, flow in self.core.flows.items():
            if flow.session == session and name[2] == way:
                flow.closed |= close
        told = self.core.ffi.new("struct seg_close_event *", {"session": session})
        told.key, told.family, told.close = record[0], self.net.family, close
        told.key.dir = way
        self.core.lib.sg_core_close_event(self.core.core, told, self.core.now)


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
        "UDP",
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
        udp_too = NodeRule(8, 0, 0, (PortMatch(17),), Action.ALLOW)
        node.judge_by(SERVED, udp_too, cache=why != "without a flow map")
    connection = Connection(net, INGRESS)
    vlan = 5 if why == "a tag" else None
    if why == "UDP":
        core.feed(net.into(udp()))
    elif why == "not a SYN":
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
    assert len(core.flows) == 2


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
    assert len(core.flows) == 2
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
    assert len(core.flows) == 2
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


def open_all(kernel: Kernel, most: int) -> int:
    """Connections one after the other, while there is room and the port has credit; how many."""
    core = kernel.core
    for number in range(most):
        if not core.lib.sg_core_has_room(core.core) or core.credits.get(PORT, 1) <= 0:
            return number
        kernel.opens(10000 + number)
        kernel.tells()
        kernel.records.clear()
    return most


@pytest.mark.parametrize(
    ("sessions", "limit", "room"),
    [(262144, None, 1000), (1000, None, 1000), (262144, 1000, 187), (1000, 40, 7)],
)
def test_little_room_is_a_little_and_not_none(core_module, net, sessions, limit, room):
    """Three eighths of the entries are a port's that is alone."""
    made = Core(core_module, sessions)
    if limit is not None:
        made.lib.sg_core_cache_limit(made.core, limit)
    made.set_policy(WEB)
    assert made.lib.sg_core_has_room(made.core)
    opened = open_all(Kernel(made, net, INGRESS), 1000)
    assert room <= opened <= room + 1
    made.close()


def test_where_the_table_is_full_programs_open_nothing(core_module, net):
    made = Core(core_module, 160)
    for port in range(1, 11):
        made.set_policy(WEB, port=port)
        for sport in range(1, 200):
            syn = TCP(sport=sport, dport=SERVICE, flags="S")
            made.feed(net.into(syn, port=port))
    assert not made.lib.sg_core_has_room(made.core)
    made.close()


@BOTH_WAYS
def test_a_port_is_given_credit_with_the_service_and_with_each_record(
    node, net, initiator
):
    node.judge_by(SERVED)
    core, kernel = node.core, Kernel(node.core, net, initiator)
    core.feed(Connection(net, initiator).segment(0, "S"))
    assert core.credits == {PORT: 31}
    core.credits.clear()
    kernel.opens()
    kernel.tells()
    assert core.credits == {PORT: 31}


@BOTH_WAYS
def test_a_port_with_many_entries_leaves_room_for_the_others(node, net, initiator):
    """Also for services that no program knows yet."""
    node.judge_by(SERVED)
    other = pack_members(NodePolicy(rules=(SERVED,)), Members(), [head(2, OTHER_PORT)])
    assert node.delta(other) == 0
    core, kernel = node.core, Kernel(node.core, net, initiator)
    core.lib.sg_core_cache_limit(core.core, 400)
    assert open_all(kernel, 200) in (75, 76)
    assert core.lib.sg_core_has_room(core.core)
    syn = TCP(sport=1, dport=SERVICE, flags="S")
    assert core.passes(net.into(syn, port=OTHER_PORT))
    assert core.credits[OTHER_PORT] > 0

"""Programs open for every port: none takes the room of the others, and little room is shared, too."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from pyctl.model.policy import Action, NodeRule
from tests.unit.engine.core.harness import (
    EGRESS,
    FIN,
    INGRESS,
    OTHER_PORT,
    PORT,
    RST,
    SECOND,
    Core,
)
from tests.unit.engine.core.node import ALL
from tests.unit.engine.core.opening import WEB, Kernel
from tests.unit.engine.core.wire import SERVICE, Connection


@pytest.fixture
def kernel(core, net):
    """Name: kernel. Scope: function. Depends: core, net. The port's policy allows the service."""
    core.set_policy(WEB)
    return Kernel(core, net, INGRESS)


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
    [(262144, None, 1000), (1000, None, 1000), (262144, 1000, 375), (1000, 40, 15)],
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


def test_a_port_is_given_credit_with_the_service_and_with_each_record(
    node, net, core, kernel
):
    node.judge_by(NodeRule(7, 0, 0, ALL, Action.ALLOW))
    node.core.feed(Connection(net, INGRESS).segment(0, "S"))
    assert list(node.core.credits) == [PORT]
    assert node.core.credits[PORT] > 0
    kernel.opens()
    kernel.tells()
    assert core.credits == {PORT: 31}


def test_a_port_with_many_entries_leaves_room_for_the_others(core, net, kernel):
    """Also for what no program may open yet."""
    core.set_policy(WEB, port=OTHER_PORT)
    core.lib.sg_core_cache_limit(core.core, 400)
    assert open_all(kernel, 200) in (150, 151)
    assert core.lib.sg_core_has_room(core.core)
    syn = TCP(sport=1, dport=SERVICE, flags="S")
    entries = len(core.flows)
    assert core.passes(net.into(syn, port=OTHER_PORT))
    assert len(core.flows) == entries + 1


UNPROVEN = 4096
"""Connections that a workload may open at once, and a thousand a second after that, while nobody takes them up."""


@pytest.fixture
def client(core_module, net):
    """Name: client. Scope: function. Depends: core_module, net. A workload that opens connections."""
    made = Core(core_module, 16384)
    made.set_policy(WEB)
    yield Kernel(made, net, EGRESS)
    made.close()


def open_unanswered(client: Kernel, count: int) -> None:
    for number in range(count):
        client.opens(10000 + number)
    client.tells()
    client.records.clear()


def more(client: Kernel, count: int = 1) -> int:
    """How many of these further SYNs pass."""
    syns = [TCP(sport=number, dport=SERVICE, flags="S") for number in range(count)]
    return sum(client.core.passes(client.net.out(syn)) for syn in syns)


def answered(client: Kernel) -> None:
    """The kernel has seen both ends of all connections since."""
    client.core.kernel_carries(2, way=EGRESS)
    client.core.kernel_carries(2, way=INGRESS)


def test_a_workload_may_open_so_many_connections_that_nobody_takes_up(client):
    core = client.core
    open_unanswered(client, UNPROVEN)
    assert core.credits == {PORT: 0}
    assert more(client) == 0
    assert core.drops() == {"syn_rate": 1}
    assert core.told() == [("drop", "syn_rate")]
    core.now += SECOND // 100
    assert more(client, 15) == 10
    assert core.told() == []


def test_what_others_open_to_it_is_not_its_own(client):
    open_unanswered(client, UNPROVEN)
    connection = Connection(client.net, INGRESS)
    assert client.core.passes(connection.segment(0, "S"))


def test_connections_that_are_taken_up_are_not_counted_however_many(client):
    """They are looked at when there seem to be too many."""
    open_unanswered(client, UNPROVEN)
    answered(client)
    assert more(client, 200) == 200


@pytest.mark.parametrize("way", [EGRESS, INGRESS])
@pytest.mark.parametrize(
    ("close", "used", "passes"),
    [(FIN, 3, 500), (RST, 3, 500), (RST, 0, 200)],
    ids=["closed", "broken off", "refused"],
)
def test_what_has_ended_counts_if_nobody_took_it_up(client, way, close, used, passes):
    core = client.core
    for number in range(UNPROVEN):
        session = client.opens(10000 + number)
        client.tells()
        flow = next(reversed(core.flows.values()))
        flow.packets[0] += used + (way == EGRESS)
        flow.packets[1] += used + (way == INGRESS)
        client.closes(session, way, close)
        if close == FIN:
            client.closes(session, EGRESS + INGRESS - way, FIN)
        client.records.clear()
    core.advance(0.2)
    assert more(client, 500) == passes

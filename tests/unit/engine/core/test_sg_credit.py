"""Programs open for every port: none takes the room of the others, and little room is shared, too."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from pyctl.model.policy import Action, NodeRule
from tests.unit.engine.core.harness import INGRESS, OTHER_PORT, PORT, Core
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

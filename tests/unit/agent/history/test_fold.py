"""A flood is a count, and no packet of it is lost."""

from __future__ import annotations

from pyctl.agent.history.fold import folded
from tests.unit.agent.history.makers import denied, flow


def total(found):
    return sum(one.packets for one in found), sum(one.bytes for one in found)


def test_repeats_of_a_denial_are_one_attempt():
    (found,) = folded([denied(), denied(last=1011.0)])
    assert (found.packets, found.flows, found.last) == (6, 1, 1011.0)


def test_flows_one_after_the_other_stay_apart():
    assert len(folded([flow(), flow(started=1005.0)])) == 2


def test_many_connections_of_one_client_become_one_line():
    many = [flow(sport=port, started=port / 10) for port in range(50)]
    (found,) = folded(many, most=20)
    assert (found.sport, found.flows) == (None, 50)
    assert total([found]) == total(many)


def test_a_scan_of_all_ports_becomes_one_line():
    many = [denied(sport=port, dport=port) for port in range(50)]
    (found,) = folded(many, most=20)
    assert (found.dport, found.flows) == (None, 50)
    assert total([found]) == total(many)

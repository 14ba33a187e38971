"""The engine's sessions as flows: both ends of one are one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.engine.records import Session
from pyctl.model.flow import Look
from pyctl.model.policy import Action, Direction
from pyctl.telemetry.open_flows import (
    MOST_OF_A_PORT,
    applications,
    open_flows,
    sessions_of,
)
from tests import packets
from tests.unit.policy.makers import port, workload

LOADS = [
    workload("web", port(1, f"{packets.pod_one_ip4}/24")),
    workload("db", port(2, f"{packets.pod_two_ip4}/24")),
]
AT_WEB = Session(
    id=1,
    port_id=1,
    direction=Direction.EGRESS,
    proto=6,
    source=packets.pod_one_ip4,
    sport=40000,
    destination=packets.pod_two_ip4,
    dport=80,
    verdict=Action.ALLOW,
    rule_id=0,
    tcp_state=1,
    cached=True,
    violation=False,
    midstream=False,
    generation=1,
    created_ns=0,
    last_seen_ns=0,
    timeout_ns=0,
    packets=(1, 1),
    bytes=(1, 1),
)
AT_DB = replace(AT_WEB, id=2, port_id=2, direction=Direction.INGRESS)


def test_two_ends_are_one_flow_that_passes_where_both_let_it():
    (flow,) = open_flows([AT_WEB, AT_DB], LOADS)
    assert (flow.source.name, flow.target.name, flow.service) == ("web", "db", "tcp/80")
    assert flow.passed
    assert [side.direction for side in flow.sides] == list(Direction)
    (flow,) = open_flows([AT_WEB, replace(AT_DB, verdict=Action.DENY)], LOADS)
    assert not flow.passed


def test_what_is_left_of_a_port_that_is_no_more_is_no_open_flow():
    assert open_flows([replace(AT_WEB, port_id=9)], LOADS) == []


def test_one_that_forwards_is_a_part_of_the_flow_with_both_its_ports():
    gate = workload("gate", port(3, f"{packets.pod_three_ip4}/24"))
    into = replace(AT_WEB, id=3, port_id=3, direction=Direction.INGRESS)
    out = replace(AT_WEB, id=4, port_id=3)
    (flow,) = open_flows([AT_WEB, into, out, AT_DB], [*LOADS, gate])
    assert (flow.source.name, flow.target.name) == ("web", "db")
    own = [side.own.name for side in flow.sides]
    assert own == ["web", "gate", "gate", "db"]


@pytest.mark.parametrize(
    "change", [{"ended": True}, {"verdict": None}, {"direction": None}], ids=str
)
def test_what_is_over_or_not_judged_is_no_open_flow(change):
    assert open_flows([replace(AT_WEB, **change)], LOADS) == []


def test_of_icmp_the_type_is_the_service():
    (flow,) = open_flows([replace(AT_WEB, proto=1, sport=8 << 8, dport=77)], LOADS)
    assert (flow.service, flow.port) == ("icmp", 8)


class Listing:
    """Engines that list a port's sessions, and know how many it has."""

    def __init__(self, *sessions, count=0):
        self.each, self.count, self.reads = sessions, count, 0

    def sessions(self, limit, port_id):
        self.reads += 1
        return [one for one in self.each if one.port_id == port_id][:limit]

    def session_count(self, _port_id):
        self.reads += 1
        return self.count


def test_applications_are_those_of_live_sessions_with_what_waits_for_them():
    found = applications(
        [
            replace(AT_WEB, look=Look.PENDING),
            replace(AT_WEB, app="Redis", app_guessed=True),
            *(2 * [replace(AT_WEB, app="TLS", look=Look.DECIDED)]),
            replace(AT_WEB, app="SSH", ended=True),
        ]
    )
    assert list(found.sessions.items()) == [("TLS", 2), ("Redis?", 1)]
    assert (found.pending, found.decided) == (1, 2)


def test_whom_a_workload_looked_up_has_the_name():
    known = {(AT_WEB.port_id, AT_WEB.destination): ("a", "b")}
    (flow,) = open_flows([AT_WEB, AT_DB], LOADS, known)
    assert flow.looked_up == ("a", "b")
    (flow,) = open_flows([AT_DB], LOADS, known)
    assert flow.looked_up == ()


def test_the_sessions_of_a_port_are_read_once():
    engines = Listing(AT_WEB, AT_WEB, AT_DB)
    assert sessions_of(engines, [1, 2]) == (3, [AT_WEB, AT_WEB, AT_DB])
    assert engines.reads == 2


def test_those_of_a_port_that_has_more_than_are_looked_at_are_counted():
    engines = Listing(*[AT_WEB] * (MOST_OF_A_PORT + 5), count=MOST_OF_A_PORT + 5)
    count, found = sessions_of(engines, [1])
    assert (count, len(found)) == (MOST_OF_A_PORT + 5, MOST_OF_A_PORT)

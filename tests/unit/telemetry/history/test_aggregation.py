"""A flood is a few records with counts, no packet of it is lost, and nobody else loses a word by it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.model.flow import endpoint
from pyctl.telemetry.events import Event
from pyctl.telemetry.history.aggregation import (
    EVENTS,
    FLOWS,
    aggregate,
    fair_share,
    is_of_any_far_end,
    repeats_folded,
    trim,
)
from tests import packets
from tests.unit.telemetry.history.makers import denied, flow

FLOOD = 100


def folded(events):
    return aggregate(list(events), EVENTS, FLOOD)


@pytest.mark.parametrize(
    ("counts", "room", "share"),
    [([], 9, 0), ([3, 4], 9, 4), ([100, 2], 12, 10), ([9, 9, 9], 10, 3), ([5], 0, 0)],
)
def test_room_is_shared_out_and_who_wants_less_leaves_the_rest(counts, room, share):
    assert fair_share(counts, room) == share
    assert sum(min(count, share) for count in counts) <= room


def denial(sport: int, dport: int = 80, ip: str = packets.pod_two_ip4) -> Event:
    own = packets.pod_one_ip6 if ":" in ip else packets.pod_one_ip4
    return Event(
        "denial",
        "no policy rule allows it",
        workload="web",
        direction="ingress",
        protocol="tcp",
        source=endpoint(ip, "tcp", sport),
        destination=endpoint(own, "tcp", dport),
        reason="default_deny",
        packets=2,
        bytes=100,
    )


def sums(events: list[Event]) -> tuple[int, int]:
    return (
        sum(one.packets or 0 for one in events),
        sum(one.bytes or 0 for one in events),
    )


def test_a_few_are_told_one_by_one():
    few = [denial(1000 + number) for number in range(FLOOD)]
    assert folded(few) == few


def test_many_of_one_initiator_and_one_port_are_one_and_the_lonely_stay_whole():
    lonely = [denial(5, 22), replace(denial(6, 23), workload="db")]
    many = [denial(1000 + number) for number in range(5000)]
    found = folded([lonely[0], *many, lonely[1]])
    assert [found[0], found[2]] == lonely
    assert (found[1].source, found[1].destination) == (
        packets.pod_two_ip4,
        denial(1).destination,
    )
    assert found[1].packets == 10000


def test_a_scan_of_ports_is_one():
    scan = [denial(9, port, packets.pod_two_ip6) for port in range(1, 3000)]
    (found,) = folded(scan)
    assert (found.source, found.destination) == (
        packets.pod_two_ip6,
        packets.pod_one_ip6,
    )
    assert sums([found]) == sums(scan)


def test_a_flood_out_of_many_sources_is_one_of_its_target():
    crowd = [
        denial(1, 80, packets.pod_two_ip4.rpartition(".")[0] + f".{number}")
        for number in range(FLOOD + 8)
    ]
    (found,) = folded(crowd)
    assert (found.source, found.destination) == (None, packets.pod_one_ip4)


def test_floods_of_two_rounds_are_repeats_of_each_other():
    first, second = ([denial(low + n) for n in range(500)] for low in (1, 2000))
    assert folded(first)[0].named == folded(second)[0].named


def test_what_counts_nothing_is_told_each_time():
    told = [Event("lifecycle", "attached", time=n) for n in range(2 * FLOOD)]
    assert folded(told) == told


def test_the_flood_of_one_leaves_the_others_whole():
    flood = [denied(sport=port, dport=port) for port in range(5000)]
    others = [flow(workload=name, sport=n) for name in ("db", "app") for n in range(20)]
    found = aggregate([*flood, *others], FLOWS, 100)
    assert [one for one in found if one.workload != "web"] == others
    (told,) = (one for one in found if one.workload == "web")
    assert (told.flows, total([told])) == (5000, total(flood))


def total(found):
    return sum(one.packets for one in found), sum(one.bytes for one in found)


def test_repeats_of_a_denial_are_one_attempt():
    (found,) = repeats_folded([denied(), denied(last=1011.0)])
    assert (found.packets, found.flows, found.last) == (6, 1, 1011.0)


def test_flows_one_after_the_other_stay_apart():
    assert len(repeats_folded([flow(), flow(started=1005.0)])) == 2


def test_many_connections_of_one_client_become_one_line():
    many = [flow(sport=port, started=port / 10) for port in range(50)]
    (found,) = aggregate(many, FLOWS, 20)
    assert (found.sport, found.dport, found.flows) == (None, 80, 50)
    assert total([found]) == total(many)


def test_denials_out_of_many_addresses_are_one_and_allowed_ones_are_not():
    addresses = [f"2001:db8::{number:x}" for number in range(50)]
    many = [denied(source=address) for address in addresses]
    (found,) = aggregate(many, FLOWS, 20)
    assert is_of_any_far_end(found)
    assert (found.source, found.flows, total([found])) == ("::", 50, total(many))
    allowed = [flow(source=address) for address in addresses]
    assert not any(map(is_of_any_far_end, aggregate(allowed, FLOWS, 20)))


def test_what_cannot_be_told_in_sums_is_cut_at_whoever_has_most():
    many = [flow(source=str(number)) for number in range(50)]
    other = flow(workload="db")
    assert trim([*many, other], FLOWS, 20) == [*many[:19], other]


@pytest.mark.parametrize("make", [flow, denied])
def test_however_little_room_there_is_applications_stay_apart(make):
    """A sum of two would name one of them wrongly."""
    kinds = [{}, {"app": "Redis"}, {"app": "Redis", "app_guessed": True}]
    many = [make(sport=n, dport=n, **kind) for n in range(50) for kind in kinds]
    found = aggregate(repeats_folded(many), FLOWS, 3)
    assert [(one.app, one.app_guessed, one.flows) for one in found] == [
        (None, False, 50),
        ("Redis", False, 50),
        ("Redis", True, 50),
    ]


@given(
    st.lists(
        st.builds(
            flow,
            sport=st.integers(1, 3),
            dport=st.integers(1, 3),
            started=st.sampled_from([1000.0, 1001.0]),
            verdict=st.sampled_from(["allow", "deny"]),
            app=st.sampled_from([None, "Redis", "unknown"]),
            app_guessed=st.booleans(),
        ),
        max_size=60,
    ),
    st.integers(1, 60),
)
def test_no_packet_changes_its_application(records, room):
    def by_app(told):
        found = Counter()
        for one in told:
            found[one.app, one.app_guessed] += one.packets
        return found

    assert by_app(aggregate(repeats_folded(records), FLOWS, room)) == by_app(records)

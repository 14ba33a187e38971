"""A crowd of ended flows is one event with all of their counts; everything else stays as it was."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pyctl.engine import records
from pyctl.engine.records import EngineEvent
from pyctl.model.flow import Answer
from pyctl.model.policy import Action, Direction
from tests import packets
from tests.unit.engine.event_blob import packed

CROWD = 8
FLOODED = 3
END = EngineEvent(
    kind="flow_end",
    port_id=FLOODED,
    direction=Direction.EGRESS,
    proto=6,
    source=packets.pod_one_ip4,
    sport=40000,
    destination=packets.world_ip4,
    dport=80,
    verdict=Action.ALLOW,
    rule_id=0,
    violation=False,
    created_ns=10,
    last_seen_ns=20,
    packets=(5, 4),
    bytes=(500, 400),
    kernel_packets=3,
    kernel_bytes=300,
)
DROP = replace(END, kind="drop", verdict=Action.DENY, reason="default_deny")

events = st.builds(
    replace,
    st.sampled_from([END, END, END, replace(END, kind="violation")]),
    port_id=st.sampled_from([FLOODED, FLOODED, 4]),
    proto=st.sampled_from([6, 6, 17, 1]),
    sport=st.integers(1, 3),
    dport=st.sampled_from([80, 80, 81]),
    rule_id=st.sampled_from([0, 0, 7]),
    answer=st.sampled_from([Answer.DATA, Answer.DATA, Answer.NONE]),
    app=st.sampled_from(["Redis", "Redis", "TLS"]),
    app_guessed=st.sampled_from([False, False, True]),
    created_ns=st.integers(1, 100),
    last_seen_ns=st.integers(101, 200),
    packets=st.tuples(st.integers(1, 9), st.integers(0, 9)),
)


def crowd_of(event: EngineEvent) -> object:
    """What the event has in common with those that it may be summed up with; None: with none."""
    if event.kind != "flow_end" or event.proto == 1 or event.port_id != FLOODED:
        return None
    counts = {"packets": (0, 0), "created_ns": 0, "last_seen_ns": 0}
    return replace(event, sport=0, **counts)


def naive(told: list[EngineEvent]) -> list[EngineEvent]:
    """Return the events as sg_event_fold() should leave them."""
    crowds = defaultdict(list)
    for event in told:
        crowds[crowd_of(event)].append(event)
    left, summed = [], set()
    for event in told:
        name = crowd_of(event)
        crowd = crowds[name]
        if name is None or len(crowd) <= CROWD:
            left.append(event)
        elif name not in summed:
            summed.add(name)
            left.append(total(crowd))
    return left


def total(crowd: list[EngineEvent]) -> EngineEvent:
    """Return the sum of alike events."""
    return replace(
        crowd[0],
        sport=0,
        flows=len(crowd),
        created_ns=min(one.created_ns for one in crowd),
        last_seen_ns=max(one.last_seen_ns for one in crowd),
        packets=tuple(map(sum, zip(*(one.packets for one in crowd), strict=True))),
        bytes=tuple(map(sum, zip(*(one.bytes for one in crowd), strict=True))),
        kernel_packets=sum(one.kernel_packets for one in crowd),
        kernel_bytes=sum(one.kernel_bytes for one in crowd),
    )


@given(st.lists(events, max_size=120))
def test_a_fold_is_what_a_naive_one_makes(told):
    assert records.events(records.folded(packed(*told), [FLOODED])) == naive(told)


def test_a_flood_is_one_event_and_the_denials_among_it_stay():
    told = [replace(END, sport=port) for port in range(1, 3001)]
    told[1500] = DROP
    flood, drop = records.events(records.folded(packed(*told), [FLOODED]))
    assert (flood.flows, flood.sport, flood.packets) == (2999, 0, (2999 * 5, 2999 * 4))
    assert drop == DROP


def test_applications_of_a_flood_stay_apart_and_guesses_from_what_is_certain():
    redis = replace(END, app="Redis")
    kinds = [END, redis, replace(redis, app_guessed=True), replace(END, app="unknown")]
    told = [replace(one, sport=port) for port in range(1, 100) for one in kinds]
    found = records.events(records.folded(packed(*told), [FLOODED]))
    assert [(one.app, one.app_guessed, one.flows) for one in found] == [
        (None, False, 99),
        ("Redis", False, 99),
        ("Redis", True, 99),
        ("unknown", False, 99),
    ]


def test_up_to_eight_alike_and_other_ports_stay_single():
    told = [replace(END, sport=port) for port in range(1, CROWD + 1)]
    assert records.events(records.folded(packed(*told), [FLOODED])) == told
    told += [replace(END, sport=port) for port in range(CROWD + 1, 100)]
    assert records.events(records.folded(packed(*told), [])) == told


def test_ports_are_counted():
    told = [END, DROP, replace(END, port_id=65535), replace(END, port_id=0)]
    assert records.events_per_port(packed(*told)) == {FLOODED: 2, 65535: 1, 0: 1}
    assert records.events_per_port(b"") == {}

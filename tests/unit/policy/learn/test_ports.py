"""Services as a rule writes them: exactly those that were seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyctl.policy.document.field_checks import ErrorCollector, port_spec
from pyctl.policy.learn.ports import specs


def test_neighbours_are_a_range_from_three_on():
    seen = [("tcp", n) for n in (443, 80, 81, 8002, 8000, 8001)]
    others = [("sctp", 3868), ("udp", 53), ("icmp6", 128), ("icmp", 8)]
    assert specs([*seen, *others]) == [
        *("tcp/80", "tcp/81", "tcp/443", "tcp/8000-8002"),
        *("udp/53", "sctp/3868", "icmp"),
    ]


@given(st.sets(st.integers(1, 40), min_size=1))
def test_every_port_that_was_seen_and_no_other_is_in_the_list(ports):
    notes = ErrorCollector()
    found = [port_spec(notes, "", text) for text in specs(("tcp", n) for n in ports)]
    assert not notes.errors
    assert {n for spec in found for n in range(spec.low, spec.high + 1)} == ports

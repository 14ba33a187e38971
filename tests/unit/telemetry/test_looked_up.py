"""Names are asked for where any is known, once for each destination, and only of flows that a workload opened."""

from __future__ import annotations

from dataclasses import replace

from pyctl.engine.records import LearntName
from pyctl.telemetry import looked_up
from pyctl.telemetry.looked_up import names_of_peers
from tests import packets
from tests.unit.telemetry.test_open_flows import AT_DB, AT_WEB


class Engines:
    """Engines that know the same names of every destination."""

    def __init__(self, *known: tuple[str, str | None]) -> None:
        self.known = known
        self.asked: list[tuple[int, str]] = []

    def name_counts(self, _ports):
        return {"learnt": len(self.known)} if self.known else {}

    def names_of(self, peers):
        self.asked += peers
        return [
            LearntName(
                *(*peer, asked, matched, packets.gateway_ip4, 1, 2, 3),
                False,
                False,
                (),
                0,
            )
            for peer in peers
            for asked, matched in self.known
        ]


def test_a_destination_has_the_names_that_were_asked_for_and_their_aliases():
    engines = Engines(("a", None), ("b", "c"), ("a", "c"))
    peer = AT_WEB.port_id, AT_WEB.destination
    assert names_of_peers(engines, [AT_WEB, AT_DB, AT_WEB]) == {peer: ("a", "b", "c")}
    assert engines.asked == [peer]


def test_without_names_or_destinations_nothing_is_asked(monkeypatch):
    engines = Engines()
    assert names_of_peers(engines, [AT_WEB]) == {}
    engines = Engines(("a", None))
    assert names_of_peers(engines, [AT_DB, replace(AT_WEB, destination="")]) == {}
    assert engines.asked == []
    monkeypatch.setattr(looked_up, "MOST_ASKED", 1)
    names_of_peers(engines, [AT_WEB, replace(AT_WEB, destination=packets.world_ip4)])
    assert len(engines.asked) == 1

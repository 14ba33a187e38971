"""scripts/bench/corpus/evasions.py: captures replayed through a core, and what counts as an evasion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import wrpcap

from scripts.bench.corpus import evasions

CLIENT, SERVER = ("192.0.2.11", 40000), ("198.51.100.7", 8080)
GET = b"GET /eicar?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def segment(way: int, flags: str, seq: int, ack: int, data: bytes = b"") -> Packet:
    (source, sport), (target, dport) = ((CLIENT, SERVER), (SERVER, CLIENT))[way]
    tcp = TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack)
    return Ether() / IP(src=source, dst=target) / tcp / data


HANDSHAKE = [
    segment(0, "S", 999, 0),
    segment(1, "SA", 4999, 1000),
    segment(0, "A", 1000, 5000),
]
ANSWERED = [
    segment(0, "PA", 1000, 5000, GET),
    segment(1, "PA", 5000, 1000 + len(GET), OK),
    segment(0, "A", 1000 + len(GET), 5000 + len(OK)),
]


@pytest.fixture
def results(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Name: results. Scope: function. Depends: gcc. What is said of cases, given by their paths."""

    def judge(**cases: list[Packet]) -> dict[str, evasions.Result]:
        for name, packets in cases.items():
            folder = tmp_path / name.replace("__", "/").replace("_", "-")
            folder.mkdir(parents=True)
            wrpcap(str(folder / "input.pcap"), packets)
        return evasions.judge(tmp_path, request.config.cache.mkdir("segctl-core"))

    return judge


def test_a_request_crosses_where_it_is_allowed_and_nowhere_else(results):
    found = results(http_evader__one=HANDSHAKE + ANSWERED)["http-evader"]
    assert (found.cases, found.whole, found.evasions) == (1, 1, [])


def test_of_two_versions_of_a_byte_one_crosses(results):
    pieces = [
        segment(0, "PA", 1000, 5000, b"GOOD"),
        segment(0, "PA", 1000, 5000, b"EVIL"),
    ]
    found = results(eve_overlap_x=HANDSHAKE + pieces)["overlap"]
    assert (found.cases, found.evasions) == (1, [])


def test_what_crosses_as_two_versions_is_an_evasion(results, monkeypatch):
    """Where nothing is held back, both versions cross."""
    monkeypatch.setattr(evasions, "attempts", lambda *_: [("allowed", DIFFERENT)])
    found = results(eve_overlap_x=HANDSHAKE)["overlap"]
    assert len(found.evasions) == 1
    assert "evasion: eve-overlap-x: allowed" in evasions.table({"overlap": found})


DIFFERENT = evasions.Crossed(captured=8, payload=8, differ=4, reasons=())

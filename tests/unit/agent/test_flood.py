"""A flood of denials is told as a few, and none of its packets is lost."""

from __future__ import annotations

from dataclasses import replace

from pyctl.agent.events import Happening
from pyctl.agent.flood import CROWD, FLOOD, folded
from pyctl.agent.report import endpoint
from tests import packets

TCP = 6


def denial(sport: int, dport: int = 80, ip: str = packets.pod_two_ip4) -> Happening:
    own = packets.pod_one_ip6 if ":" in ip else packets.pod_one_ip4
    return Happening(
        "denial",
        "no policy rule allows it",
        workload="web",
        direction="ingress",
        protocol="tcp",
        source=endpoint(ip, TCP, sport),
        destination=endpoint(own, TCP, dport),
        reason="default_deny",
        packets=2,
        bytes=100,
    )


def sums(happenings: list[Happening]) -> tuple[int, int]:
    return (
        sum(one.packets or 0 for one in happenings),
        sum(one.bytes or 0 for one in happenings),
    )


def test_a_few_are_told_one_by_one():
    few = [denial(1000 + number) for number in range(FLOOD)]
    assert folded(few) == few


def test_many_of_one_opener_and_one_port_are_one_and_the_lonely_stay_whole():
    lonely = [denial(5, 22), replace(denial(6, 23), workload="db")]
    many = [denial(1000 + number) for number in range(5000)]
    found = folded([lonely[0], *many, lonely[1]])
    assert found[0] == lonely[0]
    assert found[2] == lonely[1]
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
        for number in range(FLOOD + CROWD)
    ]
    (found,) = folded(crowd)
    assert (found.source, found.destination) == (None, packets.pod_one_ip4)
    out = [replace(one, direction="egress") for one in crowd]
    assert len(folded(out)) == len(out)


def test_floods_of_two_rounds_are_repeats_of_each_other():
    first, second = ([denial(low + n) for n in range(500)] for low in (1, 2000))
    assert folded(first)[0].same_as(folded(second)[0])

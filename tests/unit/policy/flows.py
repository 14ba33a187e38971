"""Observed flows for policy tests: recorded on paper only."""

from __future__ import annotations

from hypothesis import strategies as st

from pyctl.model.flow import Answer
from pyctl.model.policy import Direction
from pyctl.policy.evaluate.observed import End, Observed, Side
from tests import packets
from tests.unit.policy.makers import port, workload

IPS = {
    "web-1": packets.pod_one_ip4,
    "web-2": packets.pod_two_ip4,
    "app": packets.pod_three_ip4,
    "db": packets.pod_one_extra_ip4,
}
LOADS = [
    workload(name, port(number, f"{ip}/{packets.prefix_ip4}"))
    for number, (name, ip) in enumerate(IPS.items(), 1)
]
SIDES = (Direction.EGRESS, Direction.INGRESS)
WORLD = packets.world_ip4


def end(who: str) -> End:
    """A workload by its name, anybody else by the address."""
    return End(IPS[who], who) if who in IPS else End(who)


def at(
    source: End, target: End, directions: tuple[Direction, ...] = SIDES
) -> tuple[Side, ...]:
    """Where it was judged: each end saw the same two."""
    return tuple(Side(direction, source, target) for direction in directions)


def seen(
    source: str,
    target: str,
    number: int | None = 80,
    *,
    protocol: str = "tcp",
    answer: Answer = Answer.DATA,
    flows: int = 1,
    last: float = 1000.0,
    passed: bool = True,
    app: str | None = None,
    sides: tuple[Direction, ...] = SIDES,
) -> Observed:
    ends = end(source), end(target)
    return Observed(
        source=ends[0],
        target=ends[1],
        protocol=protocol,
        port=number,
        sides=at(*ends, sides),
        passed=passed,
        answer=answer,
        flows=flows,
        last=last,
        app=app,
    )


whos = st.sampled_from([*IPS, packets.world_ip4, packets.gateway_ip4])
services = st.sampled_from(
    [("tcp", 80), ("tcp", 81), ("tcp", 82), ("tcp", 40000), ("udp", 53), ("icmp", 8)]
)
observations = st.builds(
    lambda source, target, service, answer, flows, app: seen(
        *(source, target, service[1]),
        protocol=service[0],
        answer=answer,
        flows=flows,
        app=app,
    ),
    whos,
    whos,
    services,
    st.sampled_from(Answer),
    st.integers(1, 3),
    st.sampled_from(["TLS", "SSH", "unknown"]),
)

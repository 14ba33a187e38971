"""The engine's sessions as the dp protocol lists and counts them.

In: sessions, the endpoint that each belongs to, the internal subnets. Out: rows and counts for
`replies`. I/O: none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address

from pyctl.engine.dp.messages import PolicyAction
from pyctl.engine.dp.replies import SessionCounts, SessionFlag, SessionRow
from pyctl.engine.dp.state import Endpoint
from pyctl.engine.dp.translate import LINK_LOCAL, InternalNets
from pyctl.engine.records import Session
from pyctl.model.policy import Action, Direction
from pyctl.model.protocols import ICMP, NUMBERS

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
_ICMP = {NUMBERS[name] for name in ICMP}
_SECOND = 10**9
_NO_MAC = bytes(6)


def count(sessions: Iterable[Session]) -> SessionCounts:
    """Count the sessions, in total and by protocol."""
    by_proto = Counter(session.proto for session in sessions)
    total = by_proto.total()
    tcp, udp = by_proto[NUMBERS["tcp"]], by_proto[NUMBERS["udp"]]
    icmp = sum(by_proto[number] for number in _ICMP)
    return SessionCounts(total, tcp, udp, icmp, total - tcp - udp - icmp)


def row(
    session: Session, endpoint: Endpoint, nets: InternalNets, now_ns: int
) -> SessionRow:
    """Return a session as listed at `now_ns` of CLOCK_MONOTONIC.

    The initiator is the client. Only the workload's MAC is known; the other is zero.
    """
    source, destination = ip_address(session.source), ip_address(session.destination)
    inbound = session.direction is Direction.INGRESS
    mac = bytes.fromhex(endpoint.mac.replace(":", ""))
    icmp = session.proto in _ICMP
    idle_ns = max(0, now_ns - session.last_seen_ns)
    return SessionRow(
        session_id=session.id,
        ep_mac=mac,
        ether_type=ETH_P_IP if source.version == 4 else ETH_P_IPV6,
        client_mac=_NO_MAC if inbound else mac,
        server_mac=mac if inbound else _NO_MAC,
        client_ip=source.packed,
        server_ip=destination.packed,
        # The engine keeps type << 8 | code and the identifier in the places of the ports.
        client_port=session.dport if icmp else session.sport,
        server_port=0 if icmp else session.dport,
        icmp_code=session.sport & 0xFF if icmp else 0,
        icmp_type=session.sport >> 8 if icmp else 0,
        ip_proto=session.proto,
        packets=session.packets,
        octets=session.bytes,
        tcp_state=session.tcp_state,
        idle_s=idle_ns // _SECOND,
        age_s=max(0, now_ns - session.created_ns) // _SECOND,
        life_s=max(0, session.timeout_ns - idle_ns) // _SECOND,
        policy_id=session.rule_id,
        policy_action=_action(session, endpoint),
        flags=_flags(session, endpoint, source if inbound else destination, nets),
    )


def _action(session: Session, endpoint: Endpoint) -> PolicyAction:
    if session.violation:
        return PolicyAction.VIOLATE
    if session.verdict is Action.DENY:
        return PolicyAction.DENY
    if endpoint.policy is None:
        return PolicyAction.OPEN
    if not session.rule_id:
        return endpoint.policy.defact
    return endpoint.policy.actions.get(session.rule_id, PolicyAction.ALLOW)


def _flags(
    session: Session, endpoint: Endpoint, peer: object, nets: InternalNets
) -> SessionFlag:
    flags = SessionFlag(0)
    if session.direction is Direction.INGRESS:
        flags |= SessionFlag.INGRESS
    if session.midstream:
        flags |= SessionFlag.MIDSTREAM
    if endpoint.tap:
        flags |= SessionFlag.TAP
    if endpoint.policy is None:
        flags |= SessionFlag.TMP_OPEN
    if isinstance(peer, IPv4Address):
        if nets.is_external(peer):
            flags |= SessionFlag.EXTERNAL
        if peer in LINK_LOCAL:
            flags |= SessionFlag.LINK_LOCAL
    return flags

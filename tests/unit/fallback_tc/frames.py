"""Random frames, and a tiny interpreter of u32, pedit, mirred and gact: what becomes of each."""

from __future__ import annotations

import ipaddress
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from fallback_tc.netlink import ETHERTYPES
from fallback_tc.rules import (
    Direction,
    Gact,
    Header,
    Mirred,
    Munge,
    Pedit,
    Rule,
    Side,
    Verdict,
    mac_bytes,
    normal,
)
from tests import packets
from tests.unit.fallback_tc.makers import PAIR

ETHERNET = 14
HEADROOM = b"\xa5" * 4
"""What lies before the frame: u32 may read it, but must not judge by it."""

ALL_ONES = ipaddress.IPv4Address(packets.limited_broadcast_ip4).packed
SUBNET_BROADCAST = ipaddress.IPv4Address(packets.subnet_broadcast_ip4).packed


@dataclass(frozen=True)
class Frame:
    """As tc sees it: the outer VLAN tag is not among the bytes."""

    data: bytes
    tagged: bool = False

    @property
    def dst(self) -> bytes:
        return self.data[:6]

    @property
    def src(self) -> bytes:
        return self.data[6:12]

    @property
    def ethertype(self) -> int:
        return int(struct.unpack_from("!H", self.data, 12)[0])

    @property
    def protocol(self) -> int:
        return ETHERTYPES["802.1Q"] if self.tagged else self.ethertype

    @property
    def payload(self) -> bytes:
        return self.data[ETHERNET:]


@dataclass(frozen=True)
class Decision:
    """Where a frame, or copies of it, went; and how it ended where it came in."""

    sent: tuple[tuple[str, bytes], ...]
    end: str
    """`drop`, `stolen`, or `stack`: no rule ended it, so the enforcer's own stack gets it."""


def decision(rules: Sequence[Rule], device: str, frame: Frame) -> Decision:
    """Of a frame that enters on the device."""
    here = sorted((one for one in rules if one.device == device), key=_pref)
    for _, group in itertools.groupby(here, key=_pref):
        filters = [normal(rule) for rule in group]
        assert len({rule.protocol for rule in filters}) == 1, "one pref, one protocol"
        if ETHERTYPES[filters[0].protocol] in (ETHERTYPES["all"], frame.protocol):
            hit = _first(filters, frame)
            if hit:
                return _act(hit, frame)
    return Decision((), "stack")


def _pref(rule: Rule) -> int:
    return rule.pref


def _first(filters: Sequence[Rule], frame: Frame) -> Rule | None:
    data = HEADROOM + frame.data
    for rule in filters:
        met = True
        for match in rule.matches:
            at = len(HEADROOM) + ETHERNET + match.offset
            word = data[at : at + 4]
            if len(word) < 4:
                # u32 leaves the whole list, not the filter alone.
                return None
            if (int.from_bytes(word, "big") ^ match.value) & match.mask:
                met = False
                break
        if met:
            return rule
    return None


def _act(rule: Rule, frame: Frame) -> Decision:
    data, sent = bytearray(frame.data), []
    for action in rule.actions:
        match action:
            case Pedit():
                for munge in action.munges:
                    _munge(data, munge)
            case Mirred():
                sent.append((action.device, bytes(data)))
                if action.direction is Direction.REDIRECT:
                    return Decision(tuple(sent), "stolen")
            case Gact(Verdict.DROP):
                return Decision(tuple(sent), "drop")
            case _:
                raise AssertionError(action)
    return Decision(tuple(sent), "stack")


def _munge(data: bytearray, munge: Munge) -> None:
    start = ETHERNET if munge.header is Header.NETWORK else 0
    # A word may begin two bytes before the frame: room for it, and away with it.
    room = bytearray(HEADROOM) + data
    at = len(HEADROOM) + start + munge.offset
    old = int.from_bytes(room[at : at + 4], "big")
    room[at : at + 4] = (old & munge.keep ^ munge.value).to_bytes(4, "big")
    assert room[: len(HEADROOM)] == HEADROOM, "the headroom is not the frame's"
    data[:] = room[len(HEADROOM) :]


def _known(*texts: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from([mac_bytes(text) for text in texts])


MACS = st.one_of(
    _known(
        PAIR.mac,
        PAIR.mac,
        PAIR.mac,
        PAIR.ucmac,
        PAIR.tapmac,
        packets.seed_two_ucmac,
        packets.bcmac,
        PAIR.bcmac,
        packets.gateway_mac,
        packets.stranger_mac,
        packets.broadcast_mac,
        packets.group_mac,
        packets.group6_mac,
    ),
    st.binary(min_size=6, max_size=6),
)

_GATEWAY = mac_bytes(packets.gateway_mac)
_MAC_PAIRS = st.one_of(
    # Half of the frames are such as the engine may get: there most of the rules differ.
    st.sampled_from([mac_bytes(PAIR.mac) + _GATEWAY, _GATEWAY + mac_bytes(PAIR.mac)]),
    st.tuples(MACS, MACS).map(b"".join),
)

_IPV4_TO = st.one_of(
    st.sampled_from(
        [
            ipaddress.IPv4Address(text).packed
            for text in (
                packets.pod_one_ip4,
                packets.group_ip4,
                packets.limited_broadcast_ip4,
                packets.subnet_broadcast_ip4,
                packets.unspecified_ip4,
            )
        ]
    ),
    # Just beyond the groups, on both sides.
    st.sampled_from([b"\xdf\1\1\1", b"\xf0\1\1\1"]),
    st.binary(min_size=4, max_size=4),
)
_IPV6_TO = st.one_of(
    st.sampled_from(
        [
            ipaddress.IPv6Address(text).packed
            for text in (packets.pod_one_ip6, packets.group_ip6, packets.link_local_ip6)
        ]
    ),
    st.binary(min_size=16, max_size=16),
)


@st.composite
def _ipv4(draw: st.DrawFn) -> bytes:
    fixed = draw(st.binary(min_size=16, max_size=16))
    return fixed + draw(_IPV4_TO) + draw(st.binary(max_size=24))


@st.composite
def _ipv6(draw: st.DrawFn) -> bytes:
    next_header = draw(st.sampled_from([58, 58, 58, 58, 6, 0]))
    hops = draw(st.sampled_from([255, 255, 64, 1]))
    head = struct.pack("!IHBB", 0x60000000, 8, next_header, hops)
    kind = draw(st.one_of(st.integers(131, 138), st.integers(0, 255)))
    rest = bytes([kind]) + draw(st.binary(min_size=3, max_size=24))
    return head + draw(st.binary(min_size=16, max_size=16)) + draw(_IPV6_TO) + rest


@st.composite
def frames(draw: st.DrawFn, *, whole: bool = True) -> Frame:
    """Of every kind. whole: IP headers are there to their end."""
    ethertype, payload = draw(
        st.one_of(
            st.tuples(st.just(ETHERTYPES["ip"]), _ipv4()),
            st.tuples(st.just(ETHERTYPES["ipv6"]), _ipv6()),
            st.tuples(
                st.sampled_from([ETHERTYPES["arp"], ETHERTYPES["802.1Q"], 0x88CC]),
                st.binary(max_size=40),
            ),
        )
    )
    if not whole:
        payload = payload[: draw(st.integers(0, len(payload)))]
    data = draw(_MAC_PAIRS) + struct.pack("!H", ethertype) + payload
    return Frame(data, draw(st.sampled_from([False] * 5 + [True])))


def addressed(side: Side, protocol: str, payload: bytes) -> Frame:
    """Unicast between the workload and its gateway, as it enters on that side's port."""
    mac = mac_bytes(PAIR.mac)
    macs = mac + _GATEWAY if side is Side.DST else _GATEWAY + mac
    return Frame(macs + struct.pack("!H", ETHERTYPES[protocol]) + payload)


def icmpv6(kind: int, hops: int = 255, next_header: int = 58) -> bytes:
    """An IPv6 packet between nobodies."""
    head = struct.pack("!IHBB", 0x60000000, 8, next_header, hops)
    return head + bytes(32) + bytes([kind]) + bytes(7)


def is_detour(mac: bytes) -> bool:
    """UCMACs, TAPMACs and BCMACs, by what the documents say of them."""
    return mac[:4] in (b"NeuV", b"NeuT", b"\xff\xff\xff\x00")


def is_neighbour_discovery(frame: Frame) -> bool:
    payload = frame.payload
    return (
        frame.protocol == ETHERTYPES["ipv6"]
        and len(payload) >= 44
        and payload[6] == 58
        and payload[7] == 255
        and 133 <= payload[40] <= 137
    )


def is_to_group(frame: Frame) -> bool:
    """Whether the IP destination is a group's, or a broadcast address of this link."""
    payload = frame.payload
    if frame.protocol == ETHERTYPES["ipv6"]:
        return payload[24:25] == b"\xff"
    to = payload[16:20]
    return b"\xe0" <= to[:1] < b"\xf0" or to in (ALL_ONES, SUBNET_BROADCAST)

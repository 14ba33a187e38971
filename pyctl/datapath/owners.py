"""Which addresses and MACs belong to attached workloads, as the kernel's maps have it.

In: port pairs, what is known of segments, networks. Out: entries that are others by now. I/O: none.

A frame may claim to come from a workload on any datapath, so this covers all pairs of a node and not one
driver's. Pairs that are the same objects as last time are skipped: a node's thousandth workload costs what
its tenth did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from ipaddress import IPv4Network, IPv6Network, ip_interface
from operator import or_

from pyctl import abi
from pyctl.datapath.seal import pack_sealed
from pyctl.model.workload import PortPair, Segment

Entry = tuple[str, bytes]
"""Name of a map, and a key."""
Changes = Mapping[Entry, bytes | None]
"""Value by entry; None: it goes."""


@dataclass(frozen=True)
class _Held:
    """One port's contribution to a map entry."""

    owner: int
    any_source: bool = False
    spare: bool = False
    """It is an address that none of the workload's interfaces has now."""
    serves: int = 0
    """Bits of enum seg_serves."""


class Owners:
    """The owner entries that the maps have, and the changes to them."""

    def __init__(self) -> None:
        self._pairs: dict[int, PortPair] = {}
        self._segments: Mapping[int, Segment] = {}
        self._held: dict[Entry, dict[int, _Held]] = {}
        self._shared: set[Entry] = set()
        """Addresses that several workloads have."""
        self._twins: set[int] = set()
        """Closed segments that have one of the shared addresses, but not for all of its owners."""

    def entries(self) -> dict[Entry, bytes]:
        """Return all entries with their values."""
        return {entry: self._value(entry) for entry in self._held}

    def follow(
        self, pairs: Mapping[int, PortPair], segments: Mapping[int, Segment]
    ) -> dict[Entry, bytes | None]:
        """Take over these pairs and segments; return the entries that changed."""
        touched: set[Entry] = set()
        before = self._pairs
        gone = [key for key, pair in before.items() if pairs.get(key) is not pair]
        came = [key for key, pair in pairs.items() if before.get(key) is not pair]
        if segments != self._segments:
            gone, came = list(before), list(pairs)
        for port_id in gone:
            for entry, _ in _of_port(before[port_id], self._segments):
                self._held[entry].pop(port_id, None)
                touched.add(entry)
        for port_id in came:
            for entry, held in _of_port(pairs[port_id], segments):
                self._held.setdefault(entry, {})[port_id] = held
                touched.add(entry)
        if segments != self._segments:
            touched.update(self._of_the_host(segments))
        self._pairs, self._segments = dict(pairs), dict(segments)
        touched.update(self._of_twins(touched))
        changes: dict[Entry, bytes | None] = {}
        for entry in touched:
            if self._held.get(entry):
                changes[entry] = self._value(entry)
            else:
                self._held.pop(entry, None)
                changes[entry] = None
        return changes

    def _of_twins(self, touched: Iterable[Entry]) -> list[Entry]:
        """Return the MAC entries of segments whose state of sharing an address with others has changed."""
        for entry in touched:
            if _is_anywhere(entry):
                several = len(self._holders(entry)) > 1
                (self._shared.add if several else self._shared.discard)(entry)
        twins = {
            segment
            for holders in map(self._holders, self._shared)
            for segment in set().union(*holders.values())
            if not all(segment in known for known in holders.values())
        }
        others, self._twins = twins ^ self._twins, twins
        if not others:
            return []
        return [
            entry
            for entry in self._held
            if entry[0] == "seg_macs"
            and abi.unpack("seg_mac_key", entry[1]).segment in others
        ]

    def _holders(self, entry: Entry) -> dict[int, set[int]]:
        """Return the owners of an address, with the closed segments that they are on."""
        found: dict[int, set[int]] = {}
        for port_id, held in self._held.get(entry, {}).items():
            if not held.spare:
                segment = self._pairs[port_id].segment
                known = self._segments.get(segment)
                found.setdefault(held.owner, set()).update(
                    {segment} if known and known.closed else ()
                )
        return found

    def _value(self, entry: Entry) -> bytes:
        held = self._held[entry]
        owners = {one.owner for one in held.values()}
        if entry[0] == "seg_owners":
            having = {one.owner for one in held.values() if not one.spare}
            owner, *others = having or owners
            return pack_sealed(
                "seg_owner",
                entry[1],
                owner=0 if others else owner,
                spare=not having,
            )
        # A MAC that several have (the host may be one) binds nobody.
        return pack_sealed(
            "seg_mac",
            entry[1],
            owner=owners.pop() if len(owners) == 1 else 0,
            any_source=any(one.any_source for one in held.values()),
            serves=reduce(or_, (one.serves for one in held.values())),
            twins=bool(self._twins)
            and abi.unpack("seg_mac_key", entry[1]).segment in self._twins,
        )

    def _of_the_host(self, segments: Mapping[int, Segment]) -> Iterator[Entry]:
        for known in (self._segments, segments):
            for number, segment in known.items():
                for mac in segment.host_macs:
                    entry = _mac_entry(number, mac)
                    held = self._held.setdefault(entry, {})
                    if known is segments:
                        held[0] = _Held(0)
                    else:
                        held.pop(0, None)
                    yield entry


def _of_port(
    pair: PortPair, segments: Mapping[int, Segment]
) -> Iterator[tuple[Entry, _Held]]:
    serves = sum(abi.constant(f"SEG_SERVES_{one.name}") for one in set(pair.serves))
    held = _Held(pair.owner or pair.port_id, pair.any_source, serves=serves)
    segment = segments.get(pair.segment)
    places = [0, pair.segment] if segment is not None and segment.closed else [0]
    for text in pair.addresses:
        for place in places:
            yield _address_entry(place, text), held
    for text in pair.spare:
        yield _address_entry(0, text), replace(held, spare=True)
    if pair.segment:
        yield _mac_entry(pair.segment, pair.mac), held


def _address_entry(segment: int, text: str) -> Entry:
    ip = ip_interface(text).ip
    key = abi.pack(
        "seg_owner_key",
        segment=segment,
        family=abi.constant(f"SEG_FAMILY_IPV{ip.version}"),
        addr=list(ip.packed.ljust(16, b"\0")),
    )
    return "seg_owners", key


def _mac_entry(segment: int, mac: str) -> Entry:
    key = abi.pack("seg_mac_key", segment=segment, mac=list(_raw(mac)))
    return "seg_macs", key


def _raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _is_anywhere(entry: Entry) -> bool:
    return (
        entry[0] == "seg_owners" and abi.unpack("seg_owner_key", entry[1]).segment == 0
    )


def network_key(net: IPv4Network | IPv6Network) -> bytes:
    """Return the network's key in seg_nets."""
    return abi.pack(
        "seg_net_key",
        prefix_len=8 + net.prefixlen,
        family=abi.constant(f"SEG_FAMILY_IPV{net.version}"),
        addr=list(net.network_address.packed.ljust(16, b"\0")),
    )


def network_changes(
    before: Iterable[IPv4Network | IPv6Network],
    after: Iterable[IPv4Network | IPv6Network],
) -> dict[Entry, bytes | None]:
    """Return the changes of seg_nets. Networks of length 0 are left out: they give nobody rights."""
    old = {net for net in before if net.prefixlen}
    new = {net for net in after if net.prefixlen}
    one = (1).to_bytes(4, "little")
    gone: dict[Entry, bytes | None] = {
        ("seg_nets", network_key(net)): None for net in old - new
    }
    return gone | {("seg_nets", network_key(net)): one for net in new - old}

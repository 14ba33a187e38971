"""Networks, and what is left of them without others.

In: networks. Out: networks. I/O: none.
A group with exceptions becomes networks alone, so that a lookup asks one question only: two
neighbouring exceptions cost a few more spans in a search that takes the logarithm of their number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    summarize_address_range,
)
from itertools import islice

Network = IPv4Network | IPv6Network


MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 as IPv6 has it; no packet has such an address."""


def unmapped(net: Network) -> Network:
    """Return the IPv4 network that `::ffff:a.b.c.d/96+n` means; any other network as it is."""
    if net.version == 4 or not net.subnet_of(MAPPED):
        return net
    first = int(net.network_address) & 0xFFFFFFFF
    return IPv4Network((first, net.prefixlen - MAPPED.prefixlen))


def inside(small: Network, large: Network) -> bool:
    """Return whether all of `small` is in `large`."""
    return not outside([small], [large])


def outside(nets: Iterable[Network], whole: Iterable[Network]) -> list[Network]:
    """Return those of `nets` that are not entirely in `whole`."""
    spans = _spans(whole)
    found = []
    for net in nets:
        first, last = _span(net)
        held = spans[net.version]
        at = bisect_right(held, first, key=_first) - 1
        if at < 0 or held[at][1] < last:
            found.append(net)
    return found


def without(nets: Iterable[Network], holes: Iterable[Network]) -> tuple[Network, ...]:
    """Return the addresses of `nets` that are in none of `holes`."""
    spans = _spans(holes)
    return tuple(left for net in nets for left in _left(net, spans[net.version]))


def _left(net: Network, holes: list[_Span]) -> Iterator[Network]:
    at, last = _span(net)
    start = max(bisect_right(holes, at, key=_first) - 1, 0)
    for first, end in islice(holes, start, None):
        if first > last:
            break
        if end < at:
            continue
        if first > at:
            yield from _between(net.version, at, first - 1)
        at = end + 1
    if at <= last:
        yield from _between(net.version, at, last)


_Span = tuple[int, int]


def _spans(nets: Iterable[Network]) -> dict[int, list[_Span]]:
    """Return the spans by IP version, ascending and disjoint: adjacent ones are merged."""
    found: dict[int, list[_Span]] = {4: [], 6: []}
    for version, net in sorted((net.version, _span(net)) for net in nets):
        spans = found[version]
        if spans and net[0] <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], net[1]))
        else:
            spans.append(net)
    return found


def _first(span: _Span) -> int:
    return span[0]


def _between(version: int, first: int, last: int) -> Iterator[Network]:
    if version == 4:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
    else:
        yield from summarize_address_range(IPv6Address(first), IPv6Address(last))


def _span(net: Network) -> _Span:
    return int(net.network_address), int(net.broadcast_address)

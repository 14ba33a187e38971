"""Networks, and what is left of them without others.

In: networks. Out: networks. I/O: none.
A group with exceptions becomes networks alone, so that a lookup asks one question only: two
neighbouring exceptions cost a few more spans in a search that takes the logarithm of their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    summarize_address_range,
)

Network = IPv4Network | IPv6Network


def inside(small: Network, large: Network) -> bool:
    """Whether all of `small` is in `large`."""
    first, last = _span(large)
    return (
        small.version == large.version
        and first <= _span(small)[0]
        and _span(small)[1] <= last
    )


def without(nets: Iterable[Network], holes: Iterable[Network]) -> tuple[Network, ...]:
    """The addresses of `nets` that are in none of `holes`."""
    cut = sorted(holes, key=lambda hole: (hole.version, _span(hole)))
    return tuple(
        left
        for net in nets
        for left in _left(net, [hole for hole in cut if hole.version == net.version])
    )


def _left(net: Network, holes: Iterable[Network]) -> Iterator[Network]:
    """`holes` ascend."""
    at, last = _span(net)
    for first, end in map(_span, holes):
        if end < at or first > last:
            continue
        if first > at:
            yield from _between(net.version, at, first - 1)
        at = end + 1
    if at <= last:
        yield from _between(net.version, at, last)


def _between(version: int, first: int, last: int) -> Iterator[Network]:
    if version == 4:
        yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
    else:
        yield from summarize_address_range(IPv6Address(first), IPv6Address(last))


def _span(net: Network) -> tuple[int, int]:
    return int(net.network_address), int(net.broadcast_address)

"""What is sent to more than one: the built-in groups `multicast` and `broadcast`, and their addresses.

In: a Policy, workloads, addresses. Out: groups, a Policy whose `broadcast` knows the workloads' subnets.
I/O: none.

Both are groups of addresses like any other, for the `to` of a rule. So the end that sends is judged by them
as well as the end that gets it, whose address is then the group's. A policy that defines a group of
one of these names means its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_interface

from pyctl.model.protocols import NUMBERS
from pyctl.model.workload import Workload
from pyctl.policy.document.networks import Network
from pyctl.policy.document.resolve import Address, addresses
from pyctl.policy.document.types import Group, Policy

MULTICAST, BROADCAST = "multicast", "broadcast"
_MULTICAST = (IPv4Network("224.0.0.0/4"), IPv6Network("ff00::/8"))
_EVERYBODY = IPv4Network("255.255.255.255/32")
_DHCP = {
    (67, "255.255.255.255"),
    (547, "ff02::1:2"),
}
"""Where clients ask: port and address."""
BUILT_IN = {
    MULTICAST: Group(MULTICAST, cidrs=_MULTICAST, built_in=True),
    BROADCAST: Group(BROADCAST, cidrs=(_EVERYBODY,), built_in=True),
}
"""By name."""


def with_subnets(policy: Policy, workloads: Iterable[Workload]) -> Policy:
    """Return the policy as these workloads know it: their subnets' broadcast addresses are in `broadcast`."""
    group = policy.groups.get(BROADCAST)
    if group is None or not group.built_in:
        return policy
    found = subnet_broadcasts(workloads)
    nets: list[Network] = [IPv4Network(address) for address in sorted(found)]
    whole = replace(group, cidrs=(_EVERYBODY, *nets))
    return replace(policy, groups={**policy.groups, BROADCAST: whole})


def subnet_broadcasts(workloads: Iterable[Workload]) -> frozenset[IPv4Address]:
    """Return the broadcast addresses of the workloads' subnets, without addresses that a workload has: a
    wrong prefix length must not make a neighbour's address one of all.
    """
    found: set[IPv4Address] = set()
    taken: set[Address] = set()
    for workload in workloads:
        found |= broadcasts_of(workload)
        taken.update(addresses(workload))
    return frozenset(found - taken)


def broadcasts_of(workload: Workload) -> frozenset[IPv4Address]:
    """Return the broadcast addresses of a workload's subnets."""
    return _broadcasts(workload.addresses)


@lru_cache(maxsize=8192)
def _broadcasts(texts: tuple[str, ...]) -> frozenset[IPv4Address]:
    interfaces = (ip_interface(text) for text in texts)
    return frozenset(
        each.network.broadcast_address
        for each in interfaces
        # RFC 3021: a /31 has none, and a /32 is one address.
        if isinstance(each.network, IPv4Network) and each.network.prefixlen < 31
    )


def cast_of(address: Address, subnets: Iterable[IPv4Address] = ()) -> str | None:
    """Return `multicast` or `broadcast` for an address of many hosts, given the subnets' broadcasts; None for
    that of one host.
    """
    if any(address in net for net in _MULTICAST):
        return MULTICAST
    if address in _EVERYBODY or address in frozenset(subnets):
        return BROADCAST
    return None


def to_dhcp_server(number: int, port: int | None) -> bool:
    """Return whether a flow is for DHCP servers: it reaches the workloads that serve DHCP, unless a rule
    denies it.
    """
    return number == NUMBERS["udp"] and port in {known for known, _ in _DHCP}


def asks_dhcp(address: Address, number: int, port: int | None) -> bool:
    """Return whether a flow is a DHCP client's question, which passes unless a rule denies it."""
    return number == NUMBERS["udp"] and (port, str(address)) in _DHCP

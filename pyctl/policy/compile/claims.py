"""What becomes of addresses that workloads give themselves.

In: a Policy, the attached workloads. Out: their claims, each with its state and why. I/O: none.

An address is an identity: what the policy says of it, it says of whoever uses it. So an address that a
workload was not given is its own only where the operator said so (`attach --follow-addresses`), and
never where it is another's: given to another attached workload, or followed for one before, or in a
CIDR group, whose rights it would take. Who is refused what changes with the policy and with who is
attached: an address whose holder is gone, or has it no more, is free.

What a workload is found with at its attach it may have given itself before: that, too, is a claim where
another on its segment has it already (`contested`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from pyctl.model.workload import (
    ADDRESSES_MAX,
    Claim,
    ClaimState,
    FollowAddresses,
    Workload,
)
from pyctl.policy.document.networks import Network
from pyctl.policy.document.resolve import Address, parsed
from pyctl.policy.document.types import Policy


def claimed(workload: Workload, live: Iterable[tuple[str, str]]) -> tuple[Claim, ...]:
    """Return claims for the live (interface, address) pairs that the workload was not given, ADDRESSES_MAX at
    most; a claim from before keeps its state.
    """
    known = {(one.interface, one.address): one for one in workload.claims}
    given = {*parsed(workload.given), *parsed(workload.link_locals)}
    claims = (
        known.get((name, text)) or Claim(text, name)
        for name, text in live
        if parsed((text,))[0] not in given
    )
    return tuple(islice(claims, ADDRESSES_MAX))


def absent(workload: Workload, live: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the given addresses that were on an interface and are on none now. Addresses from `attach
    --address` or a runtime that no interface ever had stay the workload's own.
    """
    there = {parsed((text,))[0] for _, text in live} | {*parsed(workload.added)}
    ports = (text for port in workload.ports for text in port.addresses)
    gone = {*parsed((*ports, *workload.found))} - there
    return tuple(text for text in workload.given if parsed((text,))[0] in gone)


def taken(workloads: Collection[Workload]) -> dict[str, tuple[str, ...]]:
    """Return, by workload id, its absent addresses that others have now, where `taken` has to change."""
    if not any(one.absent or one.taken for one in workloads):
        return {}
    holders = _holders((one, parsed(one.usual)) for one in workloads)
    found = {
        one.id: tuple(text for text in one.absent if holders.get(parsed((text,))[0]))
        for one in workloads
    }
    return {one.id: found[one.id] for one in workloads if found[one.id] != one.taken}


def merely_found(workload: Workload) -> tuple[Address, ...]:
    """Return the given addresses that neither the workload's runtime nor an operator named."""
    told = {*parsed(workload.told), *parsed(workload.added)}
    return tuple(ip for ip in parsed(workload.given) if ip not in told)


def contested(
    workload: Workload, others: Iterable[Workload]
) -> dict[Address, tuple[Workload, ...]]:
    """Return the merely found addresses that others have too, each with those workloads."""
    found: dict[Address, tuple[Workload, ...]] = {}
    mere = frozenset(merely_found(workload))
    for other in others:
        for ip in mere.intersection(parsed(other.addresses)):
            found[ip] = (*found.get(ip, ()), other)
    return found


def without(workload: Workload, refused: Collection[Address]) -> Workload:
    """Return the workload as if these addresses had not been found on it."""

    def kept(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text for text in texts if parsed((text,))[0] not in refused)

    ports = (replace(one, addresses=kept(one.addresses)) for one in workload.ports)
    return replace(
        workload,
        ports=tuple(ports),
        found=kept(workload.found),
        absent=kept(workload.absent),
    )


def in_groups(policy: Policy, workload: Workload) -> dict[Address, str]:
    """Return the addresses in a CIDR group, with its name, that were found or that the operator gave; the
    runtime's are not among them.
    """
    networks = _by_length(owned_networks(policy))
    told = parsed(workload.told)
    ours = (ip for ip in parsed(workload.given) if ip not in told)
    names = ((ip, next(_groups(networks, ip), None)) for ip in ours)
    return {ip: name for ip, name in names if name is not None}


def owned_networks(policy: Policy) -> dict[Network, str]:
    """Return the networks of CIDR groups, with a group of each. Networks of prefix length 0 are left out:
    membership in them gives no special rights.
    """
    return {
        net: group.name
        for group in policy.groups.values()
        for net in group.nets
        if net.prefixlen
    }


def settle(
    policy: Policy, workloads: Collection[Workload]
) -> dict[str, tuple[Claim, ...]]:
    """Return, by workload id, the claims of the workloads whose claims change state."""
    claiming = [one for one in workloads if one.claims]
    if not claiming:
        return {}
    given = _holders((one, parsed((*one.held, *one.link_locals))) for one in workloads)
    networks = _by_length(owned_networks(policy))
    followed: dict[Address, str] = {}
    found: dict[str, tuple[Claim, ...]] = {}
    # A workload whose claim was followed before keeps it; else names decide, so that the result is stable.
    order = sorted(claiming, key=lambda one: one.name)
    for state in (ClaimState.FOLLOWED, None):
        for workload in order:
            known = list(found.get(workload.id, workload.claims))
            for place, claim in enumerate(workload.claims):
                if (claim.state is ClaimState.FOLLOWED) is (state is not None):
                    (ip,) = parsed((claim.address,))
                    now = _judged(workload, ip, claim, given, followed, networks)
                    known[place] = now
                    if now.state is ClaimState.FOLLOWED:
                        followed.setdefault(ip, workload.name)
            found[workload.id] = tuple(known)
    return {one.id: found[one.id] for one in claiming if found[one.id] != one.claims}


def shared(workloads: Collection[Workload]) -> dict[Address, tuple[str, ...]]:
    """Return the addresses that several workloads have, with their names. Link-local ones are left out: they
    mean something on their own link alone.
    """
    holders = _holders((one, parsed(one.usual)) for one in workloads)
    return {
        ip: names
        for ip, names in holders.items()
        if len(names) > 1 and not ip.is_link_local
    }


def _judged(
    workload: Workload,
    ip: Address,
    claim: Claim,
    given: Mapping[Address, tuple[str, ...]],
    followed: Mapping[Address, str],
    networks: _ByLength,
) -> Claim:
    holders = [name for name in given.get(ip, ()) if name != workload.name]
    if (first := followed.get(ip, workload.name)) != workload.name:
        holders.append(first)
    if holders:
        return replace(claim, state=ClaimState.REFUSED, reason=f"{holders[0]} has it")
    group = next(_groups(networks, ip), None)
    if group is not None and workload.follow is not FollowAddresses.ANY:
        return replace(
            claim, state=ClaimState.REFUSED, reason=f"it is in the group {group}"
        )
    if workload.follow is FollowAddresses.NO:
        why = "its addresses are not followed (attach --follow-addresses)"
        return replace(claim, state=ClaimState.UNUSED, reason=why)
    return replace(claim, state=ClaimState.FOLLOWED, reason="")


def _holders(
    each: Iterable[tuple[Workload, tuple[Address, ...]]],
) -> dict[Address, tuple[str, ...]]:
    found: dict[Address, tuple[str, ...]] = {}
    for workload, ips in each:
        for ip in ips:
            found[ip] = (*found.get(ip, ()), workload.name)
    return found


_ByLength = Mapping[tuple[int, int], Mapping[int, str]]


def _by_length(networks: Mapping[Network, str]) -> _ByLength:
    found: dict[tuple[int, int], dict[int, str]] = {}
    for net, name in networks.items():
        bits = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
        found.setdefault((net.version, net.prefixlen), {}).setdefault(bits, name)
    return found


def _groups(networks: _ByLength, ip: Address) -> Iterator[str]:
    for (version, length), nets in networks.items():
        if version == ip.version:
            name = nets.get(int(ip) >> (ip.max_prefixlen - length))
            if name is not None:
                yield name

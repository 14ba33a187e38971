"""Who is in which group, at which addresses, and in which mode.

In: a Policy and the attached workloads. Out: members by group, networks by group, modes.
I/O: none.

A workload is known to others by the addresses of its ports, link-local ones excepted: these name
nobody beyond one link, so two workloads may share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_interface,
    ip_network,
)
from typing import Protocol

from pyctl.model.workload import Mode, ModeSource, Port, Workload
from pyctl.policy.document import ANY, Group, Network, Policy, Selector

Address = IPv4Address | IPv6Address

STRICTNESS = (Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT, Mode.QUARANTINE)
"""Later is stricter."""


@dataclass(frozen=True)
class EffectiveMode:
    """The mode that holds and why."""

    mode: Mode
    source: ModeSource


def addresses(port: Port) -> tuple[Address, ...]:
    """The port's addresses without prefix length, link-local ones included."""
    return tuple(ip_interface(text).ip for text in port.addresses)


def known_addresses(port: Port) -> tuple[Address, ...]:
    """Those by which others know the port."""
    return tuple(ip for ip in addresses(port) if not ip.is_link_local)


class Named(Protocol):
    """What selectors look at: a workload, or a container that may become one."""

    @property
    def name(self) -> str:
        """What globs over names go over."""

    @property
    def image(self) -> str | None:
        """Likewise; None: not known."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Value by key."""


def selects(selector: Selector, workload: Named) -> bool:
    """Whether all that the selector names holds for the workload."""
    if selector.name is not None and not fnmatchcase(workload.name, selector.name):
        return False
    if selector.image is not None and not fnmatchcase(
        workload.image or "", selector.image
    ):
        return False
    return all(workload.labels.get(key) == value for key, value in selector.labels)


def groups_of(policy: Policy, workload: Workload) -> tuple[str, ...]:
    """Names of the groups whose selector takes the workload, in the policy's order."""
    return tuple(
        group.name
        for group in policy.groups.values()
        if group.selector is not None and selects(group.selector, workload)
    )


def networks(
    policy: Policy, workloads: Iterable[Workload]
) -> dict[str, tuple[Network, ...]]:
    """Where each group is found, merged to as few networks as say it, IPv4 first.

    `any` is not in it: it has no networks, it matches everything.
    """
    attached = tuple(workloads)
    return {
        group.name: _merged(_places(group, attached))
        for group in policy.groups.values()
    }


def effective_mode(policy: Policy, workload: Workload) -> EffectiveMode:
    """`segctl mode`, then the policy's modes, then `attach --mode`, then discover.

    Of several groups that have a mode the strictest holds; the mode of `any` holds only where
    no other group has one.
    """
    if workload.forced_mode is not None:
        return EffectiveMode(workload.forced_mode, ModeSource.COMMAND)
    named = [
        policy.modes[name]
        for name in groups_of(policy, workload)
        if name in policy.modes
    ]
    if not named and ANY in policy.modes:
        named = [policy.modes[ANY]]
    if named:
        return EffectiveMode(max(named, key=STRICTNESS.index), ModeSource.POLICY)
    if workload.attach_mode is not Mode.DISCOVER:
        return EffectiveMode(workload.attach_mode, ModeSource.ATTACH)
    return EffectiveMode(Mode.DISCOVER, ModeSource.DEFAULT)


def _places(group: Group, workloads: tuple[Workload, ...]) -> list[Network]:
    if group.selector is None:
        return list(group.cidrs)
    return [
        ip_network(ip)
        for workload in workloads
        if selects(group.selector, workload)
        for port in workload.ports
        for ip in known_addresses(port)
    ]


def _merged(found: list[Network]) -> tuple[Network, ...]:
    four = [net for net in found if isinstance(net, IPv4Network)]
    six = [net for net in found if isinstance(net, IPv6Network)]
    return (*collapse_addresses(four), *collapse_addresses(six))

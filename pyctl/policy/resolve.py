"""Who is in which group, at which addresses, and in which mode.

In: a Policy and a workload. Out: its groups, its addresses, its mode.
I/O: none.

A workload is known to others by the addresses of its ports, link-local ones too: two on one link can
talk by these alone, and what a rule denies to a workload must be denied there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Protocol

from pyctl.model.workload import Mode, ModeSource, Port, Workload
from pyctl.policy.document import ANY, Expression, Operator, Policy, Selector

Address = IPv4Address | IPv6Address

NAMESPACE = "io.kubernetes.pod.namespace"
"""The label by which the kubelet's containers say in which Kubernetes namespace they are."""
DEFAULT_NAMESPACE = "default"

STRICTNESS = (Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT, Mode.QUARANTINE)
"""Later is stricter."""


@dataclass(frozen=True)
class EffectiveMode:
    """The mode that holds and why."""

    mode: Mode
    source: ModeSource


def addresses(port: Port) -> tuple[Address, ...]:
    """The port's addresses without prefix length."""
    return _parsed(port.addresses)


@lru_cache(maxsize=8192)
def _parsed(texts: tuple[str, ...]) -> tuple[Address, ...]:
    """Remembered: every change on a node goes over the addresses of all its workloads."""
    return tuple(ip_interface(text).ip for text in texts)


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

    @property
    def runtime(self) -> str:
        """Who runs it (RuntimeKind)."""


def selects(selector: Selector, workload: Named) -> bool:
    """Whether all that the selector names holds for the workload."""
    if selector.name is not None and not fnmatchcase(workload.name, selector.name):
        return False
    if selector.image is not None and not fnmatchcase(
        workload.image or "", selector.image
    ):
        return False
    if selector.runtime is not None and workload.runtime != selector.runtime:
        return False
    if selector.namespace is not None and not fnmatchcase(
        label(workload, NAMESPACE) or "", selector.namespace
    ):
        return False
    return all(label(workload, key) == value for key, value in selector.labels) and all(
        _holds(asked, workload) for asked in selector.expressions
    )


def label(workload: Named, key: str) -> str | None:
    """A workload's label. The one that names its namespace is never absent: who is in none is in
    `default`, as a pod is that says nothing.
    """
    return workload.labels.get(key, DEFAULT_NAMESPACE if key == NAMESPACE else None)


def _holds(asked: Expression, workload: Named) -> bool:
    value = label(workload, asked.key)
    match asked.operator:
        case Operator.IN:
            return value in asked.values
        case Operator.NOT_IN:
            return value not in asked.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


def groups_of(policy: Policy, workload: Workload) -> tuple[str, ...]:
    """Names of the groups whose selector takes the workload, in the policy's order."""
    return tuple(
        group.name
        for group in policy.groups.values()
        if group.selector is not None and selects(group.selector, workload)
    )


def effective_mode(policy: Policy, workload: Workload) -> EffectiveMode:
    """`segctl mode`, then the policy's modes, then `attach --mode`, then discover.

    Of several groups that have a mode the strictest holds; the mode of `any` holds only where
    no other group has one.
    """
    if workload.forced_mode is not None:
        return EffectiveMode(workload.forced_mode, ModeSource.COMMAND)
    named = [
        mode
        for name, mode in policy.modes.items()
        if name != ANY
        and (selector := policy.groups[name].selector) is not None
        and selects(selector, workload)
    ]
    if not named and ANY in policy.modes:
        named = [policy.modes[ANY]]
    if named:
        return EffectiveMode(max(named, key=STRICTNESS.index), ModeSource.POLICY)
    if workload.attach_mode is not Mode.DISCOVER:
        return EffectiveMode(workload.attach_mode, ModeSource.ATTACH)
    return EffectiveMode(Mode.DISCOVER, ModeSource.DEFAULT)

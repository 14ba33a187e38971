"""Who is in which group, at which addresses, and in which mode.

In: a Policy and a workload. Out: its groups, its addresses, its mode.
I/O: none.

A workload is known to others by the addresses that it was given, on whatever interface, link-local
ones too: two on one link can talk by these alone, and what a rule denies to a workload must be denied
there. What it gives itself gives it no rights (`claims`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Protocol, TypeVar

from pyctl.model.sensors.sensor import SensorAction
from pyctl.model.threats import DEFAULTS, ThreatAction
from pyctl.model.workload import Mode, ModeSource, Workload
from pyctl.policy.document.types import ANY, Expression, Operator, Policy, Selector

Address = IPv4Address | IPv6Address
_Setting = TypeVar("_Setting")

NAMESPACE = "io.kubernetes.pod.namespace"
"""The label by which the kubelet's containers say in which Kubernetes namespace they are."""
DEFAULT_NAMESPACE = "default"

STRICTNESS = (Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT, Mode.QUARANTINE)
"""Later is stricter."""
_ACTIONS = tuple(ThreatAction)
"""Later is stricter here, too."""


@dataclass(frozen=True)
class EffectiveMode:
    """The mode that holds and why."""

    mode: Mode
    source: ModeSource


def addresses(workload: Workload) -> tuple[Address, ...]:
    """Return the addresses that the workload may use, each once, without prefix length."""
    return parsed(workload.addresses)


def possible(holders: Collection[Workload], asked: Workload | None) -> list[Workload]:
    """Return which of the address's holders may be meant, as the asked workload sees it: those on one of its
    closed bridges, if any, else all. None: the other end is not attached.
    """
    own = _known_segments(asked)
    return [one for one in holders if own & one.closed_segments] or list(holders)


def _known_segments(asked: Workload | None) -> frozenset[int]:
    """Return the closed bridges where the workload can tell others apart; none without a check of sources."""
    if asked is None or not asked.capabilities.source_check:
        return frozenset()
    return asked.closed_segments


@lru_cache(maxsize=8192)
def parsed(texts: tuple[str, ...]) -> tuple[Address, ...]:
    """Return the addresses of these texts. Cached: every change goes over those of all workloads."""
    return tuple(dict.fromkeys(ip_interface(text).ip for text in texts))


class Named(Protocol):
    """What selectors look at: a workload, or a container that may become one."""

    @property
    def name(self) -> str:
        """Return the name that globs match."""

    @property
    def image(self) -> str | None:
        """Return the image that globs match; None: not known."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the labels, value by key."""

    @property
    def runtime(self) -> str:
        """Return the runtime (RuntimeKind)."""


def matches(pattern: str, value: str | None) -> bool:
    """Return whether a glob (`*`, `?`, `[ab]`; case matters) matches the value, or equals it; False for None.
    Every pattern has this meaning, over names, images, namespaces and labels.
    """
    return value is not None and (value == pattern or fnmatchcase(value, pattern))


def selects(selector: Selector, workload: Named) -> bool:
    """Return whether all that the selector names holds for the workload."""
    if selector.runtime is not None and workload.runtime != selector.runtime:
        return False
    asked = [
        (selector.name, workload.name),
        (selector.image, workload.image or ""),
        (selector.namespace, label(workload, NAMESPACE)),
        *((value, label(workload, key)) for key, value in selector.labels),
    ]
    return all(
        pattern is None or matches(pattern, value) for pattern, value in asked
    ) and all(_holds(asked, workload) for asked in selector.expressions)


def label(workload: Named, key: str) -> str | None:
    """Return a workload's label; None where it has none. A workload without a namespace label is in
    `default`, as a pod without one is.
    """
    return workload.labels.get(key, DEFAULT_NAMESPACE if key == NAMESPACE else None)


def _holds(asked: Expression, workload: Named) -> bool:
    value = label(workload, asked.key)
    match asked.operator:
        case Operator.IN:
            return any(matches(pattern, value) for pattern in asked.values)
        case Operator.NOT_IN:
            return not any(matches(pattern, value) for pattern in asked.values)
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


def empty_groups(policy: Policy, workloads: Collection[Workload]) -> list[str]:
    """Return the names of groups whose selector matches none of the workloads."""
    return [
        group.name
        for group in policy.groups.values()
        if group.selector is not None
        and not any(selects(group.selector, workload) for workload in workloads)
    ]


def groups_of(policy: Policy, workload: Workload) -> tuple[str, ...]:
    """Return the names of groups whose selector matches the workload, in the policy's order."""
    return tuple(
        group.name
        for group in policy.groups.values()
        if group.selector is not None and selects(group.selector, workload)
    )


def _of_groups(
    policy: Policy, settings: Mapping[str, _Setting], workload: Workload
) -> list[_Setting]:
    """Return the settings of the groups that select the workload; that of `any` where none of them has one."""
    named = [
        setting
        for name, setting in settings.items()
        if name != ANY
        and (selector := policy.groups[name].selector) is not None
        and selects(selector, workload)
    ]
    return named or [settings[name] for name in (ANY,) if name in settings]


def effective_mode(policy: Policy, workload: Workload) -> EffectiveMode:
    """Return the mode from `segctl mode`, the policy's modes, `attach --mode` or discover, in this order.

    Of several groups that have a mode the strictest holds; the mode of `any` holds only where
    no other group has one.
    """
    if workload.forced_mode is not None:
        return EffectiveMode(workload.forced_mode, ModeSource.COMMAND)
    named = _of_groups(policy, policy.modes, workload)
    if named:
        return EffectiveMode(max(named, key=STRICTNESS.index), ModeSource.POLICY)
    if workload.attach_mode is not Mode.DISCOVER:
        return EffectiveMode(workload.attach_mode, ModeSource.ATTACH)
    return EffectiveMode(Mode.DISCOVER, ModeSource.DEFAULT)


def effective_threats(policy: Policy, workload: Workload) -> dict[str, ThreatAction]:
    """Return what is done at each threat: of several groups that name it the strictest holds, `any` only where
    no other group does, and the default where none does.
    """
    found = {**DEFAULTS, **policy.threats.get(ANY, {})}
    named: dict[str, list[ThreatAction]] = {}
    for name, settings in policy.threats.items():
        selector = policy.groups[name].selector if name != ANY else None
        if selector is not None and selects(selector, workload):
            for threat, action in settings.items():
                named.setdefault(threat, []).append(action)
    strictest = {
        threat: max(each, key=_ACTIONS.index) for threat, each in named.items()
    }
    return found | strictest


def effective_sensors(policy: Policy, workload: Workload) -> dict[str, SensorAction]:
    """Return what is done at hits of each sensor, by the same order: the strictest of the groups that name the workload,
    `any` only where no other does. A sensor that none of them has is not there.
    """
    found = {}
    for sensor in policy.sensors:
        named = _of_groups(policy, sensor.groups, workload)
        if named:
            found[sensor.name] = max(named, key=_ACTIONS.index)
    return found

"""Finds workloads that are copies of one thing, and the group that stands for them.

In: names of workloads, those that are attached, the policy in force. Out: a group for each name.
I/O: none.

Copies of one thing have the labels by which an orchestrator names it, or else names that differ in
a number at the end. A group of the policy fits a workload if it takes nothing that is known to be
something else: `all` or `linux` would allow to many what one was seen to do. Where none fits, a
group is made: of the labels, of the name with its number left open if two copies are known, else of
the very name. A workload that has gone is known by its name alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from glob import escape

from pyctl.model.workload import Workload
from pyctl.policy.document.resolve import NAMESPACE, selects
from pyctl.policy.document.types import ANY, Policy, Selector
from pyctl.policy.evaluate.replay import is_name_alone, may_select

IDENTITY = (
    ("com.docker.compose.project", "com.docker.compose.service"),
    ("app.kubernetes.io/instance", "app.kubernetes.io/name"),
    ("app.kubernetes.io/name",),
    ("k8s-app",),
    ("app",),
)
"""Labels that say what a workload is, within its namespace; the first that it has all of hold."""
_NUMBERED = re.compile(r"(.*[^0-9])[0-9]+")
_NAME = 63
"""Longest name of a group."""


@dataclass(frozen=True)
class Family:
    """What copies of the same workload have in common."""

    labels: tuple[tuple[str, str], ...] = ()
    stem: str = ""
    """For a workload without labels: its name, or the part before its number."""

    @property
    def title(self) -> str:
        """Return a name that people would give the family."""
        return self.labels[-1][1] if self.labels else self.stem.rstrip("-_.") or "group"


class Naming:
    """Names of groups, each used once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {*taken, ANY}

    def new(self, wish: str) -> str:
        """Return an unused name as close to the wish as possible."""
        clean = re.sub(r"[^A-Za-z0-9._-]", "-", wish).lstrip("._-")[: _NAME - 4]
        clean = clean or "group"
        name, number = clean, 1
        while name in self._taken:
            number += 1
            name = f"{clean}-{number}"
        self._taken.add(name)
        return name


@dataclass(frozen=True)
class Placed:
    """Group name by workload name, and the groups to create for them."""

    group: Mapping[str, str]
    made: Mapping[str, Selector]


def place(
    policy: Policy,
    workloads: Collection[Workload],
    talking: Collection[str],
    naming: Naming,
) -> Placed:
    """Return a group for each of the names in `talking`."""
    attached = {one.name: one for one in workloads}
    names = sorted({*attached, *talking})
    family = _families(names, attached)
    group: dict[str, str] = {}
    made: dict[str, Selector] = {}
    for name in sorted(talking):
        fitting = _fitting(policy, name, family, attached)
        if fitting is None:
            for selector in _selectors(name, family):
                fitting = next(
                    (one for one, two in made.items() if two == selector), ""
                )
                if fitting or _takes_only(selector, family[name], family, attached):
                    break
            if not fitting:
                fitting = naming.new(_title(selector, family[name]))
                made[fitting] = selector
        group[name] = fitting
    return Placed(group, made)


def _families(
    names: Iterable[str], attached: Mapping[str, Workload]
) -> dict[str, Family]:
    found: dict[str, Family] = {}
    by_stem: dict[str, set[Family]] = {}
    for name in names:
        labels = _identity(attached[name].labels) if name in attached else ()
        if labels:
            found[name] = Family(labels)
            by_stem.setdefault(_stem(name), set()).add(found[name])
    for name in names:
        if name in found:
            continue
        like = by_stem.get(_stem(name), set())
        # A copy that has gone was like the others with its name.
        gone = name not in attached and len(like) == 1
        found[name] = next(iter(like)) if gone else Family(stem=_stem(name))
    return found


def _identity(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for keys in IDENTITY:
        if all(labels.get(key) for key in keys):
            space = (NAMESPACE,) if labels.get(NAMESPACE) else ()
            return tuple((key, labels[key]) for key in (*space, *keys))
    return ()


def _stem(name: str) -> str:
    found = _NUMBERED.fullmatch(name)
    return found[1] if found else name


def _fitting(
    policy: Policy,
    name: str,
    family: Mapping[str, Family],
    attached: Mapping[str, Workload],
) -> str | None:
    """Return the existing group with the most of the family's members and no others; None: there is none."""
    best, most = None, 0
    for group in policy.groups.values():
        if group.selector is None or not _surely(group.selector, name, attached):
            continue
        if not _takes_only(group.selector, family[name], family, attached):
            continue
        members = sum(_surely(group.selector, one, attached) for one in family)
        if members > most:
            best, most = group.name, members
    return best


def _selectors(name: str, family: Mapping[str, Family]) -> Iterable[Selector]:
    """Yield selectors for the name, wide ones first; the last is the name itself."""
    mine = family[name]
    if mine.labels:
        yield Selector(labels=tuple(sorted(mine.labels)))
    copies = [one for one in family if family[one] == mine and one != mine.stem]
    if mine.stem and len(copies) > 1 and name != mine.stem:
        yield Selector(name=f"{escape(mine.stem)}[0-9]*")
    yield Selector(name=escape(name))


def _title(selector: Selector, family: Family) -> str:
    if selector.labels or (selector.name or "").endswith("[0-9]*"):
        return family.title
    return re.sub(r"\[(.)\]", r"\1", selector.name or "")


def _surely(selector: Selector, name: str, attached: Mapping[str, Workload]) -> bool:
    if name in attached:
        return selects(selector, attached[name])
    return is_name_alone(selector) and may_select(selector, name)


def _takes_only(
    selector: Selector,
    mine: Family,
    family: Mapping[str, Family],
    attached: Mapping[str, Workload],
) -> bool:
    return all(
        of == mine or not _surely(selector, name, attached)
        for name, of in family.items()
    )

"""What a kernel holds, compared with what was asked for.

In: rules, and `Held` rules of the same places. Out: what to add, what to take away. I/O: none.
Rules of one place are tried in the order in which they were added, so a place is right or wrong as
a whole, in its order; one that is wrong is emptied and filled again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fallback_tc.rules import Held, Rule, normal

Place = tuple[str, int, int]
"""Device, parent, pref: what one classifier has alone, whatever its protocol."""


@dataclass(frozen=True)
class Drift:
    """The changes that make a kernel hold what was asked for; all empty if it does."""

    excess: tuple[Held, ...] = ()
    """The rules to delete, in this order: last tried first."""
    missing: tuple[Rule, ...] = ()
    """The rules to add after that, in this order."""
    changed: tuple[tuple[Held, Rule], ...] = ()
    """To replace in place: the matches are right, the actions are not."""

    def __bool__(self) -> bool:
        """Return whether anything is to be done."""
        return bool(self.excess or self.missing or self.changed)


def drift(asked: Iterable[Rule], held: Iterable[Held]) -> Drift:
    """Return the drift between asked and held rules. All of `held` is compared, so leave out what is not
    ours, such as other pairs' rules on the bridge.
    """
    wanted: dict[Place, list[Rule]] = {}
    found: dict[Place, list[Held]] = {}
    for rule in asked:
        wanted.setdefault(_place(rule), []).append(rule)
    for one in sorted(held, key=lambda one: (one.rule.pref, one.handle)):
        found.setdefault(_place(one.rule), []).append(one)
    excess: list[Held] = []
    missing: list[Rule] = []
    changed: list[tuple[Held, Rule]] = []
    for place in [*found, *(new for new in wanted if new not in found)]:
        rules, present = wanted.get(place, []), found.get(place, [])
        if _selectors(map(normal, rules)) == _selectors(one.rule for one in present):
            pairs = zip(present, rules, strict=True)
            changed += [pair for pair in pairs if pair[0].rule != normal(pair[1])]
        else:
            excess += present
            missing += rules
    missing.sort(key=lambda rule: rule.pref)
    return Drift(tuple(reversed(excess)), tuple(missing), tuple(changed))


def _place(rule: Rule) -> Place:
    return rule.device, rule.parent, rule.pref


def _selectors(rules: Iterable[Rule]) -> list[tuple[object, ...]]:
    return [(rule.protocol, rule.matches) for rule in rules]

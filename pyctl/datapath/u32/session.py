"""One look at an enforcer namespace: which u32 rules are held there, and the steps that change them.

In: plans, an open `RuleSets`. Out: rules with their handles, and changed ones. I/O: rtnetlink. Handles and
order are read again at each step, because others may have changed them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from fallback_tc import netlink
from fallback_tc.drift import Drift, drift
from fallback_tc.pair import PREFS_BELOW
from fallback_tc.plan import REST, guard
from fallback_tc.render import add as command
from fallback_tc.rules import Held, Rule
from pyctl.datapath import foreign_filters
from pyctl.datapath.u32.plan import (
    ASIDE,
    BRIDGE,
    HOME,
    VBR,
    Plan,
    at_base,
    bridge_prefs,
    held,
    in_range,
    is_ours,
    of_port,
    plan,
    ways_back,
)
from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.workload import PortPair
from pyctl.platform.netlink.raw import Message
from pyctl.platform.tc.filters import Filter
from pyctl.platform.tc.rule_sets import RuleSets


def ends_of(pair: PortPair) -> tuple[int, int]:
    """Return the interfaces of a port: vex, vin."""
    return pair.vex_ifindex, pair.vin_ifindex


def shown(one: Held) -> str:
    """Return a held rule as text, for users."""
    try:
        text = command(one.rule)
    except ValueError:
        text = f"{one.rule.place} has parts that are not ours: {one.rule.actions}"
    return f"{text} # handle {one.handle:#x}"


def told(found: Drift) -> list[str]:
    """Return a line for each difference."""
    return (
        [f"too much {shown(one)}" for one in found.excess]
        + [f"missing  {command(rule)}" for rule in found.missing]
        + [f"changed  {shown(one)}" for one, _ in found.changed]
    )


class LinkNames(Mapping[int, str]):
    """A mapping from ifindex to link name that asks the kernel only when needed, so that a call's cost does
    not grow with the node.
    """

    def __init__(self, tc: RuleSets) -> None:
        self._tc = tc
        self._known: dict[int, str] = {}

    def __getitem__(self, index: int) -> str:
        """Return the link's name; KeyError if it does not exist."""
        if index not in self._known:
            name = self._tc.name_of(index)
            if name is None:
                raise KeyError(index)
            self._known[index] = name
        return self._known[index]

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indexes asked for so far."""
        return iter(self._known)

    def __len__(self) -> int:
        """Return the number of indexes asked for so far."""
        return len(self._known)

    def index_of(self, name: str) -> int:
        """Return the index of a name asked for before; NotFoundError for any other."""
        for index, known in self._known.items():
            if known == name:
                return index
        raise NotFoundError(f"interface {name} is not in the enforcer namespace")


class Session:
    """The state of one call of the driver."""

    def __init__(self, tc: RuleSets) -> None:
        self.tc = tc
        self.names = LinkNames(tc)

    def plan(self, pair: PortPair) -> Plan:
        """Return the pair's plan; NotFoundError for links that do not exist."""
        for end in (*ends_of(pair), VBR):
            if end not in self.names:
                raise NotFoundError(
                    f"interface {end} is not in the enforcer namespace",
                    state="nothing was touched",
                )
        return plan(pair, self.names)

    def _index(self, name: str) -> int:
        return VBR if name == BRIDGE else self.names.index_of(name)

    # -- what is held ---------------------------------------------------------------------

    def on(self, ifindex: int, base: int) -> list[Held]:
        """Return the held rules of one set on one port."""
        return at_base(held(self.tc.filters(ifindex), self.names), base)

    def at(self, goal: Plan, base: int) -> list[Held]:
        """Return the held rules of one set on both ports."""
        ends = (goal.pair.vex, goal.pair.vin)
        return [one for end in ends for one in self.on(self._index(end), base)]

    def guards(self) -> list[Held]:
        """Return the guard's held rules on vbr."""
        prefs = [rule.pref for rule in guard(BRIDGE)]
        found = [one for pref in prefs for one in self.tc.filters(VBR, pref)]
        return held(found, self.names)

    def filters_back(self, port_id: int) -> list[Filter]:
        """Return a port's filters on vbr, whatever their actions."""
        own = ways_back(port_id)
        return [
            one
            for pref in bridge_prefs(port_id)
            for one in self.tc.filters(VBR, pref)
            if of_port(held([one], self.names), own)
        ]

    def ways_back(self, port_id: int) -> list[Held]:
        """Return a port's filters on vbr as rules."""
        return held(self.filters_back(port_id), self.names)

    def held_by(self, goal: Plan) -> list[Held]:
        """Return all held rules of a port."""
        return [
            *self.at(goal, HOME),
            *self.at(goal, ASIDE),
            *self.ways_back(goal.port_id),
        ]

    def base(self, goal: Plan) -> int:
        """Return the set's base: ASIDE while another kind's filter is at HOME, else HOME."""
        foreign = any(
            one.kind != "u32" and in_range(one.pref, HOME)
            for end in (goal.pair.vex, goal.pair.vin)
            for one in self.tc.filters(self._index(end))
        )
        return ASIDE if foreign else HOME

    def in_front(self, goal: Plan) -> list[str]:
        """Return a line for each filter of others in front of the set."""
        first = self.base(goal) - PREFS_BELOW
        return [
            line
            for end in (goal.pair.vex, goal.pair.vin)
            for line in foreign_filters.in_front(
                end, self.tc.filters(self._index(end)), first, is_ours
            )
        ]

    def differences(self, goal: Plan) -> list[str]:
        """Return a line for each difference between goal and kernel."""
        wanted = goal.port_rules(self.base(goal)) + goal.bridge_rules()
        return told(drift(wanted, self.held_by(goal)))

    # -- steps ----------------------------------------------------------------------------

    def place(self, rules: Sequence[Rule], present: Callable[[], list[Held]]) -> None:
        """Make the held rules that `present` returns equal to `rules`."""
        found = drift(rules, present())
        self._replace(found.changed)
        self.remove(found.excess)
        self._add(present, found.missing)

    def swap(self, goal: Plan, base: int) -> None:
        """Move the ports to the goal at that base and nowhere else; the driver's docstring tells how."""
        other = ASIDE if base == HOME else HOME
        here, there = self.at(goal, base), self.at(goal, other)
        wrong = drift(goal.port_rules(base), here)
        if not wrong.excess and not wrong.missing:
            self._replace(wrong.changed)
            self.remove(reversed(there))
            return
        if base == HOME and here and drift(goal.port_rules(ASIDE), there):
            self.remove(reversed(there))
            self._fill(goal, ASIDE)
        self.remove(reversed(here))
        self._fill(goal, base)
        self.remove(reversed(self.at(goal, other)))

    def remove(self, rules: Iterable[Held]) -> None:
        """Remove the rules in the given order; rules that are gone already are no error."""
        gone = list(rules)
        self.tc.try_each(
            "removing rules",
            [
                _message(netlink.delete(one.rule, self._index, one.handle))
                for one in gone
            ],
        )
        self._remove_emptied({self._place(one.rule): one.rule for one in gone})

    def _place(self, rule: Rule) -> tuple[int, int]:
        return self._index(rule.device), rule.pref

    def _remove_emptied(self, places: Mapping[tuple[int, int], Rule]) -> None:
        """Remove classifiers without rules. u32 keeps them while others of the hook share its tables. Their
        kind and protocol would block whatever comes to that pref, and they keep the queueing discipline from
        being removed.
        """
        empty = [
            rule
            for (ifindex, pref), rule in places.items()
            if (left := self.tc.filters(ifindex, pref))
            and all(one.kind == "u32" for one in left)
            and not held(left, self.names)
        ]
        self.tc.try_each(
            "removing classifiers",
            [_message(netlink.delete(rule, self._index)) for rule in empty],
        )

    def _fill(self, goal: Plan, base: int) -> None:
        rules = goal.port_rules(base)
        # A rule that is refused keeps those behind it in the batch from nothing: what lets by goes in
        # when what inspects is there.
        inspect = [rule for rule in rules if rule.pref < base + REST]
        rest = [rule for rule in rules if rule.pref >= base + REST]
        self._add(lambda: self.at(goal, base), inspect, rest)

    def _add(self, present: Callable[[], list[Held]], *parts: Sequence[Rule]) -> None:
        """Add all rules, part by part, or none."""
        index = self._index
        before = present()
        try:
            for part in filter(None, parts):
                self.tc.send(
                    "installing rules",
                    [_message(netlink.add(rule, index)) for rule in part],
                )
        except SegctlError:
            self.remove(reversed([one for one in present() if one not in before]))
            raise

    def _replace(self, pairs: Iterable[tuple[Held, Rule]]) -> None:
        index = self._index
        self.tc.send(
            "replacing rules",
            [_message(netlink.replace(rule, index, one.handle)) for one, rule in pairs],
        )


def _message(one: netlink.Message) -> Message:
    return Message(one.kind, one.body, one.flags)

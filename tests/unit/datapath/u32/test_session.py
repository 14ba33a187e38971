"""One look at the rules, and the steps that change them: none is left half, none of others is touched."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from fallback_tc import netlink
from fallback_tc.drift import drift
from fallback_tc.netlink import TCMSG
from fallback_tc.plan import guard
from fallback_tc.rules import Gact, Mirred, Unknown, Verdict, normal
from pyctl.datapath.u32.plan import ASIDE, BRIDGE, HOME, VBR, Plan
from pyctl.datapath.u32.session import LinkNames, Session, shown, told
from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.workload import Mode
from pyctl.platform.netlink.raw import Message
from pyctl.platform.tc.filters import Filter
from tests.unit.datapath.makers import PAIR
from tests.unit.datapath.u32.kernel import NAMES, Kernel


def kernel_body(pref: int) -> bytes:
    return TCMSG.pack(0, 5, 1, 0, pref << 16)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def session(kernel) -> Session:
    return Session(kernel)


@pytest.fixture
def goal(session) -> Plan:
    return session.plan(PAIR)


def filled(session: Session, goal: Plan, *bases: int) -> None:
    """The whole set stands at these bases."""
    for base in bases:
        session.place(goal.port_rules(base), lambda base=base: session.at(goal, base))


def sets(session: Session, goal: Plan) -> dict[int, bool]:
    """Whether the whole set stands, by base; a base with nothing is absent."""
    found = {base: session.at(goal, base) for base in (HOME, ASIDE)}
    return {
        base: not drift(goal.port_rules(base), there)
        for base, there in found.items()
        if there
    }


def test_names_are_asked_of_the_kernel_once_and_only_where_needed(kernel, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(kernel, "name_of", lambda at: asked.append(at) or NAMES.get(at))
    names = LinkNames(kernel)
    assert (names[5], names[5], names[6]) == ("vex", "vex", "vin")
    assert asked == [5, 6]
    assert (list(names), len(names)) == ([5, 6], 2)
    assert names.index_of("vin") == 6
    assert 99 not in names
    with pytest.raises(NotFoundError, match="vin2"):
        names.index_of("vin2")


@pytest.mark.parametrize("gone", [5, 6, VBR])
def test_a_pair_whose_link_is_gone_has_no_plan(session, monkeypatch, gone):
    monkeypatch.delitem(NAMES, gone)
    with pytest.raises(NotFoundError, match=f"interface {gone}"):
        session.plan(PAIR)


def test_place_adds_what_is_missing_and_removes_what_is_too_much(kernel, session, goal):
    rules = goal.port_rules(HOME)
    session.place(rules[1:], lambda: session.at(goal, HOME))
    session.place(rules[:-1], lambda: session.at(goal, HOME))
    assert not drift(rules[:-1], session.at(goal, HOME))
    changes: list[None] = []
    kernel.look = lambda: changes.append(None)
    session.place(rules[:-1], lambda: session.at(goal, HOME))
    assert changes == [], "what is right is left alone"


@pytest.mark.parametrize(
    ("before", "base"),
    [
        ((), HOME),
        ((ASIDE,), HOME),
        ((HOME, ASIDE), HOME),
        ((HOME,), ASIDE),
        ((HOME,), HOME),
    ],
)
def test_swap_leaves_the_whole_set_at_one_base(session, goal, before, base):
    filled(session, goal, *before)
    session.swap(goal, base)
    assert sets(session, goal) == {base: True}


@pytest.mark.parametrize("before", [(), (ASIDE,)])
def test_where_nothing_is_in_force_at_home_each_rule_is_installed_once(
    kernel, session, goal, before
):
    """The workload is cut off for as long as it takes."""
    filled(session, goal, *before)
    most = [len(kernel.rules)]
    kernel.look = lambda: most.append(len(kernel.rules))
    session.swap(goal, HOME)
    rules = len(goal.port_rules(HOME))
    added = sum(now > former for former, now in pairwise(most))
    assert added == rules
    assert max(most) == rules * (1 + len(before))


def test_a_set_that_changes_goes_aside_first_and_comes_home_whole(
    kernel, session, goal
):
    filled(session, goal, HOME)
    after = session.plan(replace(PAIR, any_source=True))
    whole: list[bool] = []

    def look() -> None:
        there = sets(session, after)
        whole.append(True in there.values() or sets(session, goal).get(HOME, False))

    kernel.look = look
    session.swap(after, HOME)
    assert sets(session, after) == {HOME: True}
    assert len(whole) > 30
    assert all(whole), "at each moment one set is whole"


def test_a_rule_with_another_action_is_replaced_where_it_stands(kernel, session, goal):
    filled(session, goal, HOME)
    rules = goal.port_rules(HOME)
    lets_by = next(
        one for one in rules if any(isinstance(a, Mirred) for a in one.actions)
    )
    (there,) = (one for one in session.at(goal, HOME) if one.rule == normal(lets_by))
    strange = replace(lets_by, actions=(Gact(Verdict.PASS),))
    sent = netlink.replace(strange, session._index, there.handle)
    kernel.send("a stranger", [Message(sent.kind, sent.body, sent.flags)])
    assert len(drift(rules, session.at(goal, HOME)).changed) == 1
    counts: set[int] = set()
    kernel.look = lambda: counts.add(len(session.at(goal, HOME)))
    session.swap(goal, HOME)
    assert sets(session, goal) == {HOME: True}
    assert counts == {len(rules)}, "it is missing at no moment"


@pytest.mark.parametrize("after", [0, 1, 5])
def test_of_rules_that_are_refused_none_stays(kernel, session, goal, after):
    filled(session, goal, HOME)
    before = list(kernel.rules)
    kernel.refuse_after(after)
    with pytest.raises(SegctlError, match="installing rules"):
        session.place(goal.port_rules(ASIDE), lambda: session.at(goal, ASIDE))
    assert kernel.rules == before


def test_what_inspects_is_there_before_what_lets_by(kernel, session, goal):
    """A refused rule keeps those behind it in the batch from nothing."""
    sent: list[list[int]] = []
    real = kernel.send

    def send(what, messages):
        real(what, messages)
        sent.append(sorted(one.rule.pref for one in session.at(goal, HOME)))

    kernel.send = send
    session.swap(goal, HOME)
    installed = [found for found in sent if found]
    assert len(installed) == 2, "two parts"
    assert installed[0] == installed[1][: len(installed[0])]
    assert installed[1][len(installed[0])] > installed[0][-1]


def test_removing_leaves_no_empty_classifier_and_no_others(kernel, session, goal):
    theirs = (5, Filter(7, "flower", kernel_body(7)))
    kernel.rules.append(theirs)
    filled(session, goal, HOME)
    session.remove(session.at(goal, HOME))
    assert kernel.rules == [theirs]
    session.remove([])


def test_another_kinds_filter_at_home_means_aside(kernel, session, goal):
    assert session.base(goal) == HOME
    kernel.rules.append((6, Filter(HOME, "bpf", kernel_body(HOME))))
    assert session.base(goal) == ASIDE
    kernel.rules[:] = [(6, Filter(5, "bpf", kernel_body(5)))]
    assert session.base(goal) == HOME


def test_the_guard_and_the_ways_back_are_told_apart(session, goal):
    session.place(guard(BRIDGE), session.guards)
    session.place(goal.bridge_rules(), lambda: session.ways_back(300))
    assert not drift(guard(BRIDGE), session.guards())
    assert not drift(goal.bridge_rules(), session.ways_back(300))
    assert session.ways_back(301) == []


def test_differences_are_lines_for_users(session, goal):
    session.swap(goal, HOME)
    session.place(goal.bridge_rules(), lambda: session.ways_back(300))
    assert session.differences(goal) == []
    tap = session.plan(replace(PAIR, mode=Mode.MONITOR))
    words = {line.split()[0] for line in session.differences(tap)}
    assert words <= {"too", "missing", "changed"}
    assert "missing" in words
    (first, *_) = session.at(goal, HOME)
    assert shown(first).endswith(f"# handle {first.handle:#x}")
    assert "tc filter add" in shown(first)
    strange = replace(first, rule=replace(first.rule, actions=(Unknown("police"),)))
    assert "parts that are not ours" in shown(strange)
    assert told(drift([], [first])) == [f"too much {shown(first)}"]

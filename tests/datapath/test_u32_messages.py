"""Messages of fallback_tc, and a running kernel: cls_u32 with act_mirred, which every test kernel has.

Rules with act_pedit and act_gact, so whole rulesets, are tried where those modules are; elsewhere
tests/unit/fallback_tc holds their messages and what tc prints of them against tc itself.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from fallback_tc import dump, netlink, render
from fallback_tc.drift import drift
from fallback_tc.pair import CLASSIC, Options, Pair, Steering
from fallback_tc.plan import REST, guard, ruleset
from fallback_tc.rules import (
    Direction,
    Held,
    Match,
    Mirred,
    Parent,
    Rule,
    normal,
)
from pyctl.platform.netlink.raw import NetlinkError, RawNetlink
from pyctl.platform.netns import opened, raw_in
from tests import packets
from tests.lab.datapath import tc_text
from tests.lab.net.netns import Lab, Netns
from tests.lab.net.traffic import pings, reaches
from tests.lab.pace import wait_for

PAIR = Pair(
    vex="vex",
    vin="vin",
    bridge="vbr",
    mac=packets.pod_one_mac,
    ucmac=packets.seed_ucmac,
    pref_ex=39,
    pref_in=40,
)
DEVICES = (PAIR.vex, PAIR.vin, PAIR.bridge)


@dataclass
class Hooks:
    """An enforcer namespace between a host and a pod, with clsact on its three devices."""

    host: Netns
    enforcer: Netns
    pod: Netns
    socket: RawNetlink
    links: dict[str, int]

    def index(self, name: str) -> int:
        return self.links[name]

    def name(self, index: int) -> str:
        return {number: name for name, number in self.links.items()}[index]

    def do(self, message: netlink.Message) -> None:
        self.socket.request(message.kind, message.body, message.flags)

    def add(self, *rules: Rule) -> None:
        for rule in rules:
            self.do(netlink.add(rule, self.index))

    def held(self, device: str, parent: Parent = Parent.CLSACT_INGRESS) -> list[Held]:
        asked = netlink.dump(device, parent, self.index)
        return dump.held(self.socket.dump(asked.kind, asked.body), self.name)

    def shown(self, device: str, *options: str) -> str:
        argv = ("tc", *options, "filter", "show", "dev", device, "ingress")
        return self.enforcer.run(*argv).stdout


@pytest.fixture
def hooks(lab: Lab) -> Iterator[Hooks]:
    """Name: hooks. Scope: function. Depends: lab."""
    host, enforcer, pod = (lab.netns(role) for role in ("host", "enforcer", "pod"))
    enforcer.sysctl("ipv6/conf/default/disable_ipv6", 1)
    lab.veth(host, "eth0", enforcer, PAIR.vex, left=packets.gateway_mac)
    lab.veth(pod, "eth0", enforcer, PAIR.vin, left=PAIR.mac)
    lab.veth(enforcer, PAIR.bridge, enforcer, "vth")
    for ns, ip4, ip6 in (
        (host, packets.gateway_ip4, packets.gateway_ip6),
        (pod, packets.pod_one_ip4, packets.pod_one_ip6),
    ):
        ns.batch(
            f"addr add {ip4}/{packets.prefix_ip4} dev eth0",
            f"addr add {ip6}/{packets.prefix_ip6} dev eth0",
        )
    clsact = "\n".join(f"qdisc add dev {device} clsact" for device in DEVICES)
    enforcer.run("tc", "-batch", "-", input=clsact)
    links = {one["ifname"]: one["ifindex"] for one in enforcer.ip("link", "show")}
    with opened(enforcer.path) as fd:
        socket = raw_in(fd)
    with socket:
        yield Hooks(host, enforcer, pod, socket, links)


def only_mirred(rules: tuple[Rule, ...]) -> list[Rule]:
    return [
        rule
        for rule in rules
        if all(isinstance(action, Mirred) for action in rule.actions)
    ]


def crossing(device: str, pref: int, *directions: Direction) -> Rule:
    other = PAIR.vin if device == PAIR.vex else PAIR.vex
    any_frame = (Match(1, 0, 0, -4),)
    actions = tuple(Mirred(direction, other) for direction in directions)
    return Rule(device, Parent.CLSACT_INGRESS, pref, "all", any_frame, actions)


def test_match_and_mirred_rules_come_back_as_they_were_asked_for(hooks):
    """By the kernel's dump, and by what tc prints."""
    rules = [
        rule
        for steering in (Steering.FORWARD, Steering.TAP)
        for rule in only_mirred(
            ruleset(
                replace(PAIR, pref_base=10000 if steering == Steering.TAP else 20000),
                steering,
                Options(redirect=steering is Steering.TAP),
            )
        )
    ]
    hooks.add(*rules)
    for device in (PAIR.vex, PAIR.vin):
        asked = [normal(rule) for rule in rules if rule.device == device]
        asked.sort(key=lambda rule: rule.pref)
        held = hooks.held(device)
        assert len(held) > 5
        assert [one.rule for one in held] == asked
        assert tc_text.read(hooks.shown(device), device) == held
        assert tc_text.read(hooks.shown(device, "-s"), device) == held
        assert not drift(asked, held)


def test_tc_installs_from_a_command_what_we_install_by_message(hooks):
    rules = only_mirred(ruleset(PAIR))
    for rule in rules:
        hooks.enforcer.run(*render.add(rule).split())
    by_tc = [hooks.held(device) for device in DEVICES]
    for rule in {rule.place: rule for rule in rules}.values():
        hooks.enforcer.run(*render.delete(rule).split())
    assert not any(hooks.held(device) for device in DEVICES)
    hooks.add(*rules)
    assert [hooks.held(device) for device in DEVICES] == by_tc


def test_a_plain_ingress_qdisc_takes_both_spellings_of_the_hook(hooks):
    """So the rules as written for `parent ffff:` are the same filters."""
    hooks.enforcer.run("tc", "qdisc", "del", "dev", PAIR.vex, "clsact")
    hooks.enforcer.run("tc", "qdisc", "add", "dev", PAIR.vex, "ingress")
    classic = [
        rule
        for rule in only_mirred(ruleset(PAIR, options=CLASSIC))
        if rule.device == PAIR.vex
    ]
    hooks.add(*classic)
    (held,) = hooks.held(PAIR.vex, Parent.INGRESS)
    assert held.rule == normal(classic[0])
    hooks.add(crossing(PAIR.vex, 7, Direction.REDIRECT))
    assert len(hooks.held(PAIR.vex, Parent.CLSACT_INGRESS)) == 2


def test_actions_are_replaced_in_place_and_matches_are_kept(hooks):
    first = crossing(PAIR.vex, 7, Direction.MIRROR)
    hooks.add(first, crossing(PAIR.vex, 7, Direction.REDIRECT))
    former, second = hooks.held(PAIR.vex)
    other = replace(
        first,
        matches=(Match(4, 1, 1, 8),),
        actions=(Mirred(Direction.REDIRECT, PAIR.bridge),),
    )
    hooks.do(netlink.replace(other, hooks.index, former.handle))
    now, still = hooks.held(PAIR.vex)
    assert now.handle == former.handle
    assert now.rule.actions == other.actions
    assert now.rule.matches == former.rule.matches
    assert still == second
    with pytest.raises(NetlinkError) as refused:
        hooks.do(netlink.replace(first, hooks.index, former.handle + 7))
    assert refused.value.errno == errno.ENOENT


def test_filters_of_a_pref_are_tried_and_told_in_the_order_of_adding(hooks):
    rules = [
        replace(
            crossing(PAIR.vex, 7, Direction.MIRROR),
            matches=(Match(4, number, 0xFF, 8),),
        )
        for number in (3, 1, 2)
    ]
    hooks.add(*rules)
    held = hooks.held(PAIR.vex)
    assert [one.rule for one in held] == [normal(rule) for rule in rules]
    hooks.do(netlink.delete(rules[1], hooks.index, held[1].handle))
    assert hooks.held(PAIR.vex) == [held[0], held[2]]
    hooks.do(netlink.delete(rules[0], hooks.index))
    assert hooks.held(PAIR.vex) == []
    with pytest.raises(NetlinkError) as refused:
        hooks.do(netlink.delete(rules[0], hooks.index))
    assert refused.value.errno in {errno.ENOENT, errno.EINVAL}


def test_a_pref_has_one_protocol(hooks):
    """What the plan of prefs goes by."""
    rule = crossing(PAIR.vex, 7, Direction.MIRROR)
    hooks.add(rule)
    with pytest.raises(NetlinkError) as refused:
        hooks.add(replace(rule, protocol="ip"))
    assert refused.value.errno == errno.EINVAL


def test_drift_is_found_and_repaired(hooks):
    asked = only_mirred(ruleset(PAIR))
    here = [rule for rule in asked if rule.device == PAIR.vex]
    hooks.add(*here)
    first, *others = hooks.held(PAIR.vex)
    elsewhere = [one for one in others if one.rule.pref != first.rule.pref]
    for held in {one.handle: one for one in (elsewhere[0], elsewhere[-1])}.values():
        hooks.do(netlink.delete(held.rule, hooks.index, held.handle))
    wrong = replace(first.rule, actions=(Mirred(Direction.REDIRECT, PAIR.bridge),))
    hooks.do(netlink.replace(wrong, hooks.index, first.handle))
    hooks.add(crossing(PAIR.vex, 4, Direction.MIRROR))
    found = drift(here, hooks.held(PAIR.vex))
    assert len(found.changed) == 1
    for one in found.excess:
        hooks.do(netlink.delete(one.rule, hooks.index, one.handle))
    hooks.add(*found.missing)
    for one, rule in found.changed:
        hooks.do(netlink.replace(rule, hooks.index, one.handle))
    assert not drift(here, hooks.held(PAIR.vex))


def test_frames_cross_by_the_rule_of_the_rest(hooks):
    """As the last rules of a tap, or of the classic set, carry what is not inspected."""
    base = PAIR.pref_base
    hooks.add(
        *(
            rule
            for rule in ruleset(PAIR, Steering.TAP)
            if rule.pref == base + REST and rule.device != PAIR.bridge
        )
    )
    for address in (packets.pod_one_ip4, packets.pod_one_ip6):
        reaches(hooks.host, address)


def test_without_its_inspecting_rules_a_closed_set_carries_no_unicast_ip(hooks):
    """Losing rules loses frames, not safety: addresses are resolved, and no echo crosses."""
    hooks.add(*only_mirred(ruleset(PAIR)))
    for address in (packets.pod_one_ip4, packets.pod_one_ip6):
        assert pings(hooks.host, address, count=2) == 0

        def resolved(address: str = address) -> bool:
            shown = hooks.host.ip("neigh", "show", address)
            return any(one.get("lladdr") == PAIR.mac for one in shown)

        wait_for(resolved)


def accepted(hooks: Hooks, rules: tuple[Rule, ...]) -> bool:
    """Whether the running kernel has every module that the rules need."""
    try:
        hooks.add(*rules)
    except NetlinkError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


@pytest.mark.parametrize("options", [Options(), CLASSIC], ids=["default", "classic"])
@pytest.mark.parametrize("steering", list(Steering))
def test_whole_rulesets_come_back_as_they_were_asked_for(hooks, options, steering):
    """The classic options too, on clsact as ever: their parent is a matter of spelling."""
    here = replace(options, parent=Parent.CLSACT_INGRESS)
    rules = (*guard(PAIR.bridge, here), *ruleset(PAIR, steering, here))
    if not accepted(hooks, rules):
        pytest.skip("this kernel lacks act_pedit or act_gact")
    for device in DEVICES:
        asked = [rule for rule in rules if rule.device == device]
        held = hooks.held(device)
        assert [one.rule for one in held] == sorted(
            map(normal, asked), key=lambda rule: rule.pref
        )
        assert tc_text.read(hooks.shown(device), device) == held
        assert not drift(asked, held)

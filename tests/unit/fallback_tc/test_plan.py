"""What becomes of every kind of frame, told by an oracle that knows no rules."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallback_tc.netlink import ETHERTYPES
from fallback_tc.pair import CLASSIC, Options, Steering
from fallback_tc.plan import EBPF, GUARD_BOTH, GUARD_NONE, guard, ruleset
from fallback_tc.rules import Gact, Parent, Rule, Side, mac_bytes
from tests import packets
from tests.unit.fallback_tc.frames import (
    Decision,
    Frame,
    addressed,
    decision,
    frames,
    icmpv6,
    is_detour,
    is_neighbour_discovery,
    is_to_group,
)
from tests.unit.fallback_tc.makers import PAIR

MAC, UCMAC = mac_bytes(PAIR.mac), mac_bytes(PAIR.ucmac)
TAPMAC, BCMAC = mac_bytes(PAIR.tapmac), mac_bytes(PAIR.bcmac)
ALL = mac_bytes(packets.broadcast_mac)
ROUTES = (134, 137)
IP, ARP, IPV6 = ETHERTYPES["ip"], ETHERTYPES["arp"], ETHERTYPES["ipv6"]
ENDS = {Side.DST: (PAIR.vex, PAIR.vin), Side.SRC: (PAIR.vin, PAIR.vex)}
SIDES = pytest.mark.parametrize("side", list(Side), ids=["from vex", "from vin"])
ALL_OPTIONS = st.builds(
    Options,
    ipv6=st.booleans(),
    drop_spoofed=st.booleans(),
    drop_forged=st.booleans(),
    drop_stray=st.booleans(),
    drop_other=st.booleans(),
    groups=st.booleans(),
    whole_macs=st.booleans(),
    redirect=st.booleans(),
)


def whole(steering: Steering, options: Options) -> list[Rule]:
    return [*guard(PAIR.bridge, options), *ruleset(PAIR, steering, options)]


def own(side: Side, frame: Frame) -> bool:
    return (frame.dst if side is Side.DST else frame.src) == MAC


def marked(side: Side, frame: Frame, mac: bytes = UCMAC) -> bytes:
    at = side.value
    return frame.data[:at] + mac + frame.data[at + 6 :]


def expected(side: Side, frame: Frame, options: Options) -> str:
    """`drop`, `across` or `engine`, for a pair that is inspected."""
    group = frame.dst[0] & 1
    ip = frame.protocol in (IP, IPV6)
    foreign = not group and frame.dst != MAC
    if (
        (options.drop_forged and (is_detour(frame.dst) or is_detour(frame.src)))
        or (side is Side.SRC and options.drop_spoofed and not own(side, frame))
        or (side is Side.DST and options.drop_stray and foreign)
        or (options.drop_other and not ip and frame.protocol != ARP)
    ):
        return "drop"
    speaks = side is Side.SRC and options.drop_spoofed and options.groups
    if speaks and frame.protocol == ARP and len(frame.payload) >= 4:
        return "across" if is_own_arp(frame) else "drop"
    if speaks and options.ipv6 and is_neighbour_discovery(frame):
        return "drop" if frame.payload[40] in ROUTES else "across"
    if options.drop_stray and group and ip and is_nobodys(side, frame, options):
        return "drop"
    return "engine" if is_inspected(side, frame, options) else "across"


def is_nobodys(side: Side, frame: Frame, options: Options) -> bool:
    """Of IP to a group MAC: what is for no group, or would be inspected but for its source's MAC."""
    if not is_to_group(frame):
        return True
    version = frame.protocol == IP or (
        options.ipv6 and not is_neighbour_discovery(frame)
    )
    inspects = side is Side.SRC and options.groups and version
    return inspects and not own(side, frame)


def is_own_arp(frame: Frame) -> bool:
    return frame.payload[:6] + frame.payload[8:14] == b"\0\1\x08\0\6\4" + MAC


def is_inspected(side: Side, frame: Frame, options: Options) -> bool:
    """As a kind: what goes to the engine where nothing drops it."""
    group = frame.dst[0] & 1
    if frame.protocol not in (IP, IPV6) or (
        frame.protocol == IPV6 and (not options.ipv6 or is_neighbour_discovery(frame))
    ):
        return False
    if not group:
        return own(side, frame)
    mine = side is Side.DST or own(side, frame)
    return options.groups and mine and is_to_group(frame)


def told(side: Side, frame: Frame, found: Decision, options: Options) -> str:
    """The decision in one word; fails where a frame has more than one, or changed on the way."""
    _, other = ENDS[side]
    if not found.sent:
        return "drop"
    ((device, data),) = found.sent
    assert found.end == ("stolen" if options.redirect else "stack")
    if device == other:
        assert data == frame.data
        return "across"
    held = BCMAC if side is Side.DST and frame.dst[0] & 1 else UCMAC
    assert (device, data) == (PAIR.bridge, marked(side, frame, held))
    return "engine"


@SIDES
@given(frame=frames())
@settings(max_examples=300, deadline=None)
def test_each_frame_has_the_one_fate_that_its_kind_has(side, frame):
    options = Options()
    found = decision(whole(Steering.FORWARD, options), ENDS[side][0], frame)
    assert told(side, frame, found, options) == expected(side, frame, options)
    # Nothing is left to the enforcer's stack.
    assert found.end in {"drop", "stolen"}


@SIDES
@given(frame=frames(), options=ALL_OPTIONS)
@settings(max_examples=200, deadline=None)
def test_each_hole_is_closed_by_its_option_alone(side, frame, options):
    found = decision(whole(Steering.FORWARD, options), ENDS[side][0], frame)
    wanted = expected(side, frame, options)
    assert told(side, frame, found, options) == wanted
    assert (found.end == "drop") == (wanted == "drop")


@SIDES
@given(frame=frames(whole=False))
@settings(max_examples=200, deadline=None)
def test_a_frame_that_is_cut_short_never_goes_across_uninspected(side, frame):
    found = decision(whole(Steering.FORWARD, Options()), ENDS[side][0], frame)
    if told(side, frame, found, Options()) == "across":
        assert (
            frame.protocol == ARP or frame.dst[0] & 1 or is_neighbour_discovery(frame)
        )
    assert found.end in {"drop", "stolen"}


@SIDES
@given(frame=frames(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_lost_rules_lose_frames_but_let_none_by_uninspected(side, frame, data):
    """So a ruleset that is half installed, or half gone, is safe."""
    options = Options()
    rules = whole(Steering.FORWARD, options)
    kept = data.draw(st.lists(st.sampled_from(rules), unique=True))
    some = [rule for rule in rules if rule in kept]
    if expected(side, frame, options) == "engine":
        found = decision(some, ENDS[side][0], frame)
        assert told(side, frame, found, options) in {"engine", "drop"}


@SIDES
@pytest.mark.parametrize("hops", [254, 255])
@pytest.mark.parametrize("next_header", [57, 58])
def test_neighbour_discovery_is_five_types_from_this_very_link(side, hops, next_header):
    """All else of ICMPv6 is inspected like anything."""
    options = Options()
    rules = whole(Steering.FORWARD, options)
    for kind in range(256):
        frame = addressed(side, "ipv6", icmpv6(kind, hops, next_header))
        found = decision(rules, ENDS[side][0], frame)
        passes = 133 <= kind <= 137 and hops == 255 and next_header == 58
        wanted = "across" if passes else "engine"
        if passes and side is Side.SRC and kind in ROUTES:
            wanted = "drop"
        assert told(side, frame, found, options) == wanted, kind


OWN4, OWN6 = packets.pod_one_ip4, packets.pod_one_ip6
OTHER4, OTHER6 = packets.pod_two_ip4, packets.pod_two_ip6


def arp(address: str, mac: bytes = MAC, *, operation: int = 2) -> Frame:
    head = struct.pack("!HHBBH", 1, IP, 6, 4, operation)
    body = head + mac + ipaddress.ip_address(address).packed + bytes(10)
    return Frame(ALL + MAC + struct.pack("!H", ARP) + body)


def nd(kind: int, source: str, target: str) -> Frame:
    ends = ipaddress.ip_address(source).packed, b"\xff\2" + bytes(14)
    head = struct.pack("!IHBB", 0x60000000, 24, 58, 255) + b"".join(ends)
    body = bytes([kind]) + bytes(7) + ipaddress.ip_address(target).packed
    return Frame(b"33\0\0\0\1" + MAC + struct.pack("!H", IPV6) + head + body)


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        (arp(OWN4), True),
        (arp(packets.unspecified_ip4, operation=1), True),
        (arp(OTHER4), False),
        (arp(OWN4, mac_bytes(packets.stranger_mac)), False),
        (nd(136, OWN6, OWN6), True),
        (nd(136, OWN6, OTHER6), False),
        (nd(135, OWN6, OTHER6), True),
        (nd(135, packets.unspecified_ip6, OWN6), True),
        (nd(135, OTHER6, OWN6), False),
        (nd(133, OTHER6, OWN6), False),
        (nd(134, OWN6, OWN6), False),
        (nd(137, OWN6, OWN6), False),
    ],
)
def test_a_workload_tells_its_link_of_itself_alone(frame, passes):
    pair = replace(PAIR, addresses=(OWN4, OWN6))
    found = decision(ruleset(pair), PAIR.vin, frame)
    assert found == (
        Decision(((PAIR.vex, frame.data),), "stolen")
        if passes
        else Decision((), "drop")
    )
    tap = decision(ruleset(pair, Steering.TAP), PAIR.vin, frame)
    assert tap.sent[0] == (PAIR.vex, frame.data)


@pytest.mark.parametrize("kind", ROUTES)
def test_a_router_that_is_declared_advertises(kind):
    pair = replace(PAIR, addresses=(OWN6,), routes=True)
    frame = nd(kind, OWN6, OWN6)
    assert decision(ruleset(pair), PAIR.vin, frame).sent == ((PAIR.vex, frame.data),)


@SIDES
@pytest.mark.parametrize("drop_other", [False, True])
def test_a_unicast_address_under_a_group_mac_is_dropped(side, drop_other):
    """A receiver may take it for its own, and nobody would have inspected it."""
    rules = whole(Steering.FORWARD, Options(drop_other=drop_other))
    for protocol, payload in (("ip", bytes(20)), ("ipv6", icmpv6(128))):
        data = addressed(side, protocol, payload).data
        src = MAC if side is Side.SRC else data[6:12]
        to_all = Frame(b"\xff" * 6 + src + data[12:])
        assert decision(rules, ENDS[side][0], to_all) == Decision((), "drop")


@SIDES
@pytest.mark.parametrize(
    ("protocol", "payload"), [("ip", bytes(20)), ("ipv6", icmpv6(128))]
)
@pytest.mark.parametrize("drop_other", [False, True])
def test_no_single_rule_stands_between_a_frame_and_inspection(
    side, protocol, payload, drop_other
):
    """Without the rule that inspects, the frame is dropped, not let by."""
    frame = addressed(side, protocol, payload)
    rules = whole(Steering.FORWARD, Options(drop_other=drop_other))
    decisions = set()
    for lost in rules:
        found = decision([rule for rule in rules if rule != lost], ENDS[side][0], frame)
        decisions.add(told(side, frame, found, Options()))
    assert decisions == {"engine", "drop"}


def test_a_frame_that_claims_two_detours_is_dropped_on_the_bridge():
    """Such a one would get from one workload to another with neither policy asked."""
    rules = whole(Steering.FORWARD, Options())
    other = mac_bytes(packets.seed_two_ucmac)
    for macs in (UCMAC + other, other + UCMAC, UCMAC + UCMAC):
        frame = Frame(macs + b"\x08\0" + bytes(20))
        assert decision(rules, PAIR.bridge, frame) == Decision((), "drop")


@SIDES
@given(frame=frames(), options=ALL_OPTIONS)
@settings(max_examples=150, deadline=None)
def test_what_the_engine_sends_back_goes_on_as_it_came(side, frame, options):
    rules = whole(Steering.FORWARD, options)
    device, other = ENDS[side]
    there = decision(rules, device, frame)
    if told(side, frame, there, options) == "engine" and not is_detour(
        frame.src if side is Side.DST else frame.dst
    ):
        back = decision(rules, PAIR.bridge, Frame(there.sent[0][1], frame.tagged))
        came = frame.data
        if side is Side.DST and frame.dst[0] & 1:
            came = marked(side, frame, ALL)
        assert back.sent == ((other, came),)


@SIDES
@given(frame=frames(whole=False), options=ALL_OPTIONS)
@settings(max_examples=200, deadline=None)
def test_a_tap_sends_everything_on_unaltered_and_shows_the_engine_a_copy(
    side, frame, options
):
    """But for forged detour MACs, which would reach the engine as another workload's."""
    device, other = ENDS[side]
    found = decision(whole(Steering.TAP, options), device, frame)
    if options.drop_forged and (is_detour(frame.dst) or is_detour(frame.src)):
        assert found == Decision((), "drop")
        return
    assert found.sent[0] == (other, frame.data)
    # A group is known by its address: where that is cut off, there is none.
    least = (20 if frame.protocol == IP else 28) if frame.dst[0] & 1 else 0
    inspected = len(frame.payload) >= least and is_inspected(side, frame, options)
    mac = TAPMAC if options.mark_copies else UCMAC
    copies = [(PAIR.bridge, marked(side, frame, mac))] if inspected else []
    assert list(found.sent[1:]) == copies


@given(frame=frames(whole=False))
@settings(max_examples=100, deadline=None)
def test_no_copy_comes_back_from_a_tap(frame):
    """Whatever the engine writes; what it held before does come back."""
    classic = decision(whole(Steering.TAP, CLASSIC), PAIR.bridge, frame)
    assert not classic.sent
    found = decision(whole(Steering.TAP, Options()), PAIR.bridge, frame)
    assert found == decision(whole(Steering.FORWARD, Options()), PAIR.bridge, frame)
    held = UCMAC in (frame.src, frame.dst) or frame.dst == BCMAC
    if TAPMAC in (frame.src, frame.dst) and not held:
        assert found == Decision((), "drop")


@given(
    frame=frames(whole=False), device=st.sampled_from([PAIR.vex, PAIR.vin, PAIR.bridge])
)
@settings(max_examples=150, deadline=None)
def test_in_quarantine_everything_stops(frame, device):
    """ARP too, and what the engine still had; the classic set leaves it to having no rules."""
    found = decision(whole(Steering.QUARANTINE, Options()), device, frame)
    assert found == Decision((), "drop")
    assert whole(Steering.QUARANTINE, CLASSIC) == []


@SIDES
@given(frame=frames(whole=False))
@settings(max_examples=150, deadline=None)
def test_the_classic_set_inspects_ipv4_unicast_alone(side, frame):
    """The holes that the options close, and the one of frames with less payload than a word."""
    device, other = ENDS[side]
    found = decision(whole(Steering.FORWARD, CLASSIC), device, frame)
    inspected = own(side, frame) and not frame.dst[0] & 1 and frame.protocol == IP
    if inspected:
        assert found.sent == ((PAIR.bridge, marked(side, frame)),)
    elif len(frame.payload) >= 4:
        assert found.sent == ((other, frame.data),)
    else:
        assert not found.sent
    assert found.end == "stack"


@given(frame=frames(whole=False))
@settings(max_examples=150, deadline=None)
def test_on_the_bridge_exactly_one_mac_says_whose_a_frame_is(frame):
    """What is no pair's is dropped; so is what claims to be two at once."""
    found = decision(whole(Steering.FORWARD, Options()), PAIR.bridge, frame)
    to, from_ = frame.dst == UCMAC, frame.src == UCMAC
    heads = (frame.dst[:4] == b"NeuV") + (frame.src[:4] == b"NeuV")
    if frame.dst == BCMAC:
        assert found.sent == ((PAIR.vin, marked(Side.DST, frame, ALL)),)
    elif heads == 1 and (to or from_):
        side = Side.DST if to else Side.SRC
        at = side.value
        restored = frame.data[:at] + MAC + frame.data[at + 6 :]
        assert found.sent == ((ENDS[side][1], restored),)
    else:
        assert found == Decision((), "drop")


@given(options=ALL_OPTIONS)
@settings(max_examples=50, deadline=None)
def test_a_pref_has_one_protocol_whatever_the_steering(options):
    """Else the kernel refuses, and a change of steering could not overlap the former one."""
    protocols = {}
    for one in Steering:
        for rule in ruleset(PAIR, one, options):
            where = rule.device, rule.pref
            assert protocols.setdefault(where, rule.protocol) == rule.protocol
    assert protocols


def test_rules_come_in_the_order_of_prefs_on_each_port():
    """Installed so, what inspects is there before what lets by."""
    for steering in Steering:
        for device in (PAIR.vex, PAIR.vin):
            prefs = [
                rule.pref for rule in ruleset(PAIR, steering) if rule.device == device
            ]
            assert prefs == sorted(prefs)


@pytest.mark.parametrize("taken", [GUARD_BOTH, EBPF, GUARD_NONE])
def test_prefs_of_the_bridge_that_are_not_for_pairs_are_refused(taken):
    for pair in (replace(PAIR, pref_ex=taken), replace(PAIR, pref_in=taken)):
        with pytest.raises(ValueError, match="taken"):
            ruleset(pair)
        assert ruleset(pair, options=CLASSIC)


def test_the_guard_is_the_bridges_first_and_last_rule():
    first, last = guard(PAIR.bridge)
    assert first.pref < 2
    assert last.pref == 65535
    assert {first.device, last.device} == {PAIR.bridge}
    assert first.actions == last.actions
    assert isinstance(first.actions[0], Gact)
    assert guard(PAIR.bridge, CLASSIC) == ()


def test_installed_rules_hang_on_clsact_and_classic_ones_on_ingress():
    assert {rule.parent for rule in whole(Steering.FORWARD, Options())} == {
        Parent.CLSACT_INGRESS
    }
    assert {rule.parent for rule in ruleset(PAIR, options=CLASSIC)} == {Parent.INGRESS}


def test_two_sets_can_stand_side_by_side_on_a_port():
    """With another base, so that one is complete before the other goes."""
    here = {rule.pref for rule in ruleset(PAIR) if rule.device == PAIR.vex}
    there = replace(PAIR, pref_base=20000)
    assert not here & {r.pref for r in ruleset(there) if r.device == PAIR.vex}

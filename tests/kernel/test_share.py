"""While the engine says a pace, a port and each of its peers may send it so much, and no more."""

from __future__ import annotations

import struct
import time

import pytest

from pyctl import abi
from pyctl.datapath.pins import open_map
from tests import packets
from tests.kernel import frames as f
from tests.kernel.conftest import PORT, Lab

REDIRECT = 7
WAY = {"vex": "in", "vin": "out"}
HOUR = 3600 * 10**9
"""So far apart that no test is over before the next may come."""
BURST = 32
"""So many a port may be ahead, a peer half of them."""
LEAVE = abi.constant("SEG_SHARE_LEAVE")
REFUSED = abi.constant("SEG_SHARE_REFUSED")
NEAR = abi.constant("SEG_SHARE_NEAR")
HOOKS = pytest.mark.parametrize("hook", ["vex", "vin"])
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def pace(kernel: Lab, gap: int, seed: int = 0) -> int:
    """The engine says a pace, and nobody has sent anything yet: peers' places are others by the seed."""
    value = abi.pack(
        "seg_control",
        heartbeat_ns=time.monotonic_ns() + 60_000_000_000,
        heartbeat_timeout_ns=4_000_000_000,
        share_gap_ns=gap,
        share_ahead_ns=BURST * gap,
        share_seed=seed or time.monotonic_ns(),
    )
    kernel.write("seg_control", bytes(4), value)
    for hook in WAY:
        share(kernel, hook)
    return abi.unpack("seg_control", value).share_seed


def _place(hook: str) -> bytes:
    return struct.pack("=I", 2 * PORT + (hook == "vex"))


def share(kernel: Lab, hook: str, **ahead: int) -> None:
    """What a port was given and has asked for is so far ahead of the clock."""
    now = time.monotonic_ns()
    times = {name: now + more for name, more in ahead.items()}
    kernel.write("seg_shares-0", _place(hook), abi.pack("seg_share", **times))


def given(kernel: Lab, hook: str) -> float:
    """By how many packets a port is ahead of its pace."""
    with open_map(kernel.instance, "seg_shares-0") as shares:
        due = abi.unpack("seg_share", shares.lookup(_place(hook))).due_ns
    return (due - time.monotonic_ns()) / HOUR


def hit(kernel: Lab) -> int:
    with open_map(kernel.instance, "seg_control") as control:
        return int(abi.unpack("seg_control", control.lookup(bytes(4))).share_hit)


def opening(hook: str, version: int = 4, peer: str = "") -> bytes:
    """A SYN that comes from a peer, or goes to it."""
    way = WAY[hook]
    ends = {"src" if way == "in" else "dst": peer} if peer else {}
    return bytes(f.link(way) / f.ip(way, version, **ends) / f.tcp("S"))


def sent(kernel: Lab, count: int, hook: str, version: int = 4, peer: str = "") -> int:
    """How many of so many the engine gets."""
    reasons = kernel.run(hook, opening(hook, version, peer), times=count).reasons
    assert set(reasons) <= {"to_engine", "port_share"}
    assert sum(one.packets for one in reasons.values()) == count
    return reasons["to_engine"].packets if "to_engine" in reasons else 0


@HOOKS
@VERSIONS
def test_a_peer_has_half_of_the_ports_share(kernel: Lab, hook, version):
    other = packets.pod_two_ip4 if version == 4 else packets.pod_two_ip6
    kernel.port(hook)
    pace(kernel, HOUR)
    assert sent(kernel, BURST, hook, version) == BURST // 2 + 1
    assert sent(kernel, BURST, hook, version, other) == BURST // 2


@HOOKS
def test_a_network_has_three_quarters_of_it(kernel: Lab, hook):
    kernel.port(hook)
    pace(kernel, HOUR)
    strangers = [f"{packets.world_ip6}{n:03x}" for n in range(BURST)]
    taken = sum(sent(kernel, 1, hook, 6, peer) for peer in strangers)
    assert taken == BURST * 3 // 4 + 1
    assert sent(kernel, BURST, hook, 6, packets.pod_two_ip6) == BURST // 4


@HOOKS
def test_who_sends_less_is_not_held_back_and_no_pace_holds_nobody(kernel: Lab, hook):
    kernel.port(hook)
    pace(kernel, 1)
    assert sent(kernel, 2 * BURST, hook) == 2 * BURST
    pace(kernel, 0)
    assert sent(kernel, 2 * BURST, hook) == 2 * BURST


def test_the_ways_of_a_port_are_apart(kernel: Lab):
    pace(kernel, HOUR)
    kernel.port("vex")
    assert sent(kernel, BURST, "vex") == BURST // 2 + 1
    kernel.port("vin")
    assert sent(kernel, BURST, "vin") == BURST // 2 + 1


@HOOKS
def test_where_only_is_recorded_it_goes_on_without_a_copy(kernel: Lab, hook):
    kernel.port(hook, "discover")
    pace(kernel, HOUR)
    sent(kernel, BURST, hook)
    kernel.copies()
    outcome = kernel.run(hook, opening(hook))
    assert (outcome.verdict, outcome.reason) == (REDIRECT, "port_share")
    assert outcome.reasons["port_share"].passed == 1
    assert kernel.copies() == []


@HOOKS
def test_who_asks_on_and_on_has_an_eighth_of_it(kernel: Lab, hook):
    kernel.port(hook)
    pace(kernel, HOUR)
    share(kernel, hook, asked_ns=BURST * HOUR)
    assert sent(kernel, 1, hook) == 1
    assert given(kernel, hook) == pytest.approx(1, abs=0.01)
    share(kernel, hook, asked_ns=(2 * BURST + 1) * HOUR)
    assert sent(kernel, 1, hook) == 1
    assert given(kernel, hook) == pytest.approx(LEAVE, abs=0.01)


def test_the_engine_learns_who_was_refused_and_that_others_will_be(kernel: Lab):
    kernel.port("vin")
    seed = pace(kernel, HOUR)
    sent(kernel, BURST // 4, "vin")
    assert hit(kernel) == 0
    sent(kernel, 1, "vin")
    assert hit(kernel) == NEAR
    assert sent(kernel, BURST, "vin") == BURST // 4
    assert hit(kernel) == NEAR | REFUSED
    pace(kernel, HOUR, seed)
    assert sent(kernel, 1, "vin") == 0
    assert hit(kernel) == REFUSED, "it asks for more than its share on and on"


def test_without_an_engine_its_fail_policy_holds(kernel: Lab):
    kernel.port("vin", "protect", "FAIL_OPEN")
    pace(kernel, HOUR)
    kernel.heartbeat(stale=True)
    assert kernel.run("vin", opening("vin"), times=BURST).reason == "fail_open"

"""Attaching, updating and detaching with each driver: nothing lost, nothing left."""

from __future__ import annotations

import dataclasses
import gc
import os
import re

import pytest

from pyctl.errors import NotFoundError, RefusedError
from pyctl.model.workload import Mode
from tests import packets
from tests.lab.datapath.wiring import Wiring
from tests.lab.net.traffic import answered, ping
from tests.lab.processes import descriptors


def hooked(wiring: Wiring) -> set[str]:
    """The enforcer's devices that have a clsact qdisc."""
    shown = wiring.enforcer.run("tc", "qdisc", "show").stdout
    return set(re.findall(r"^qdisc clsact \S+ dev (\S+)", shown, re.MULTILINE))


OF_ALL = {"vbr-neuv", "vth-neuv"}
"""Their hooks are no pair's."""


@pytest.fixture
def one_pod(either: Wiring) -> Wiring:
    """Name: one_pod. Scope: function. Depends: either. One attached pod in protect."""
    return either.start_pods(1)


def test_another_ports_entries_stay(either: Wiring):
    either.start_pods(2)
    before = either.driver.rules(either.pairs[1].port_id)
    either.driver.detach(either.pairs[0].port_id)
    assert either.driver.rules(either.pairs[1].port_id) == before
    assert answered(ping(either.pods[1], packets.gateway_ip4)) == (3, 3)


def test_mode_changes_lose_no_packet(one_pod: Wiring):
    """Behaviour 15, as far as these modes go: a mode is a map value."""
    child = one_pod.pods[0].spawn(
        *("ping", "-n", "-q", "-c", "200", "-i", "0.005", packets.gateway_ip4),
        stdout=-1,
        text=True,
    )
    rounds = 0
    while child.poll() is None:
        for mode in (Mode.DISCOVER, Mode.MONITOR, Mode.PROTECT):
            one_pod.update(0, mode=mode)
        rounds += 1
    assert answered(child.stdout.read()) == (200, 200)
    assert rounds


def test_a_port_id_has_one_pair(either: Wiring):
    either.pod()
    either.pod()
    first, second = either.pairs
    either.driver.attach(first)
    stolen = dataclasses.replace(second, port_id=first.port_id)
    with pytest.raises(RefusedError):
        either.driver.attach(stolen)
    with pytest.raises(NotFoundError):
        either.driver.update(second)
    either.start_engine()
    assert answered(ping(either.pods[0], packets.gateway_ip4)) == (3, 3)


def test_a_reused_ifindex_takes_nothing_over(one_pod: Wiring):
    """Links died without a detach, and new ones got their numbers: the old port must end."""
    old = one_pod.pairs[0]
    for name in ("vex0", "vin0"):
        one_pod.enforcer.run("ip", "link", "del", name)
    one_pod.pod(vex_index=old.vex_ifindex, vin_index=old.vin_ifindex)
    one_pod.driver.attach(one_pod.pairs[1])
    assert not one_pod.driver.port_in_use(old.port_id)
    assert answered(ping(one_pod.pods[1], packets.gateway_ip4)) == (3, 3)


def test_no_frame_passes_uninspected_while_a_pair_is_attached_and_detached(
    either: Wiring,
):
    """The engine is mute: so whatever is answered went past it."""
    pod = either.pod()
    either.start_engine().said("mute")
    pod.run(
        "ip",
        "neigh",
        "add",
        packets.gateway_ip4,
        "lladdr",
        packets.gateway_mac,
        "dev",
        "eth0",
    )
    child = pod.spawn(
        *(
            "ping",
            "-n",
            "-q",
            "-c",
            "300",
            "-i",
            "0.003",
            "-W",
            "0.2",
            packets.gateway_ip4,
        ),
        stdout=-1,
        text=True,
    )
    while child.poll() is None:
        either.driver.attach(either.pairs[0])
        either.driver.detach(either.pairs[0].port_id)
    assert answered(child.stdout.read()) == (300, 0)
    # There was something to let by: frames came while it was attached.
    assert ("egress", "0101") in either.inspected()


def test_a_foreign_filter_stays(one_pod: Wiring):
    """What stands at other priorities on the hook is not ours to remove."""
    one_pod.enforcer.run(
        *(
            "tc",
            "filter",
            "add",
            "dev",
            "vex0",
            "ingress",
            "prio",
            "30000",
            "protocol",
            "ip",
        ),
        *("u32", "match", "u32", "0", "0", "classid", "1:1"),
    )
    one_pod.driver.detach(one_pod.pairs[0].port_id)
    shown = one_pod.enforcer.run("tc", "filter", "show", "dev", "vex0", "ingress")
    prefs = re.findall(r" pref (\d+) ", shown.stdout)
    assert set(prefs) == {"30000"}, "ours are gone, and no other"


def test_rounds_of_attaching_leak_no_descriptor(either: Wiring):
    """Behaviour 13, the driver's part."""
    either.pod()
    # Of an earlier test, what nobody holds any more may be closed at any moment.
    gc.collect()
    open_before = descriptors(os.getpid())
    for _ in range(20):
        either.driver.attach(either.pairs[0])
        either.driver.counters(either.pairs[0].port_id)
        either.driver.detach(either.pairs[0].port_id)
    gc.collect()
    assert descriptors(os.getpid()) == open_before
    assert not either.driver.port_in_use(either.pairs[0].port_id)
    assert hooked(either) <= OF_ALL


def test_detach_leaves_nothing_and_cuts_off(one_pod: Wiring):
    pair = one_pod.pairs[0]
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4)) == (3, 3)
    assert one_pod.driver.port_in_use(pair.port_id)
    for _ in range(2):
        one_pod.driver.detach(pair.port_id)
    assert not one_pod.driver.port_in_use(pair.port_id)
    assert hooked(one_pod) <= OF_ALL
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4, wait=0.2)) == (3, 0)
    for _ in range(2):
        one_pod.driver.cleanup()
    assert "clsact" not in one_pod.enforcer.run("tc", "qdisc", "show").stdout


def test_attaching_and_connecting_again_changes_nothing(one_pod: Wiring):
    """Nor does a driver made after a crash, which knows all that the former one knew."""
    pair = one_pod.pairs[0]
    before = one_pod.driver.rules(pair.port_id)
    again = type(one_pod.driver)(one_pod.instance)
    again.connect()
    again.attach(pair)
    assert again.rules(pair.port_id) == before
    assert answered(ping(one_pod.pods[0], packets.gateway_ip4)) == (3, 3)


def test_an_attach_that_fails_leaves_nothing(either: Wiring):
    either.pod()
    gone = dataclasses.replace(either.pairs[0], vin_ifindex=4_000_000)
    with pytest.raises(NotFoundError):
        either.driver.attach(gone)
    assert not either.driver.port_in_use(gone.port_id)
    assert hooked(either) <= OF_ALL

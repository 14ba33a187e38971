"""A workload gets its own interface back with what it has now; what fails, whatever it is, leaves it attached."""

from __future__ import annotations

import contextlib
import errno
import socket

import pytest

from pyctl.errors import SegctlError
from pyctl.intercept.detach import cleanup, delete_ports, unsplice
from pyctl.intercept.enforcer import VBR, VTH
from pyctl.intercept.recover import Outcome, find_orphans, recover
from pyctl.platform.iproute.client import iproute_at
from pyctl.platform.netlink import l3, links
from tests import packets
from tests.unit.intercept.played import at, splice
from tests.unit.intercept.rtnetlink import Killed
from tests.unit.intercept.spaces import address, refused


def attached(kernel):
    """A pod with what a detach has to put back, attached."""
    kernel.eth0.alias, kernel.eth0.sysctls["ipv4/conf/forwarding"] = "uplink", "1"
    kernel.pod.joined[2] = [socket.inet_aton("224.0.0.251")]
    kernel.pod.routes.append(l3.default_route(socket.AF_INET6, 2, 100, 1500))
    kernel.before = kernel.picture()
    kernel.port, _ = splice(kernel)
    return kernel


def detach(kernel, **more):
    return unsplice(kernel.instance, kernel.process, kernel.port, **more)


def pair_mtus(kernel):
    return {one.mtu for one in kernel.enforcer.devices if one.name in (VBR, VTH)}


def test_the_workload_has_its_own_interface_back(kernel):
    own = attached(kernel).eth0
    assert kernel.pod.device("eth0") is not own
    assert detach(kernel) == []
    assert kernel.pod.device("eth0") is own
    assert kernel.picture() == kernel.before
    assert (kernel.ports(), kernel.journals()) == ([], [])


def test_what_it_changed_meanwhile_it_keeps(kernel):
    ours = attached(kernel).pod.device("eth0")
    ours.mtu, ours.mac, ours.txqlen = 1300, packets.pod_two_mac, 50
    kernel.addresses(ours, address(packets.pod_two_ip4, 24))
    kernel.pod.routes.clear()
    before = kernel.picture()
    assert detach(kernel) == []
    assert kernel.picture() == before


def test_a_new_name_of_ours_comes_home_too(kernel):
    attached(kernel).pod.device("eth0").name = "wan"
    assert detach(kernel) == []
    assert kernel.pod.names() == ["lo", "wan"]


def test_what_stands_on_top_of_ours_is_deleted_first(kernel):
    ours = attached(kernel).pod.device("eth0")
    kernel.device(kernel.pod, "vlan7", "vlan", other=ours)
    assert detach(kernel) == []
    assert kernel.picture() == kernel.before


def test_offloads_that_were_switched_off_for_us_are_on_again(kernel):
    attached(kernel).pod.device("eth0").offloads = (0, 0)
    detach(kernel)
    assert kernel.picture() == kernel.before


def test_the_pair_has_the_mtu_of_the_largest_that_is_left(kernel):
    kernel.eth0.mtu = 9000
    attached(kernel)
    assert pair_mtus(kernel) == {9000}
    detach(kernel)
    assert pair_mtus(kernel) == {2048}


def test_each_change_that_is_refused_leaves_it_detached_or_attached_as_before(kernels):
    kernel = attached(kernels())
    before = len(kernel.changes)
    detach(kernel)
    number, outcomes = len(kernel.changes) - before, set()
    for change in range(number):
        kernel = attached(kernels())
        inside, again = kernel.picture(), []
        kernel.fault = at(len(kernel.changes) + change, refused(errno.EPERM))
        asked = f"{change} {kernel.changes[-1]}"
        try:
            lost = detach(kernel, ports_ready=again.append)
        except (OSError, SegctlError):
            outcomes.add("attached")
            assert kernel.picture() == inside, asked
            assert kernel.ports() == [kernel.port.vex, kernel.port.vin]
            both = [kernel.enforcer.device(name) for name in kernel.ports()]
            assert all(one.up for one in both)
            for port in again:
                indexes = [port.vex_ifindex, port.vin_ifindex]
                assert [one.index for one in both] == indexes
        else:
            outcomes.add("detached")
            assert lost or kernel.picture() == kernel.before, asked
            assert kernel.ports() == []
        assert kernel.journals() == []
    assert outcomes == {"attached", "detached"}


def test_whoever_is_killed_before_a_change_leaves_what_a_recovery_finishes(kernels):
    kernel = attached(kernels())
    before = len(kernel.changes)
    detach(kernel)
    number, finished = len(kernel.changes) - before, 0
    for change in range(number):
        kernel = attached(kernels())
        kernel.fault = at(len(kernel.changes) + change, Killed())
        with contextlib.suppress(Killed):
            detach(kernel)
        kernel.alive()
        begun = kernel.journals()
        outcomes = [one.outcome for one in recover(kernel.instance)]
        assert outcomes == [Outcome.FINISHED] * len(begun)
        if begun:
            assert kernel.picture() == kernel.before
            assert (kernel.ports(), kernel.journals()) == ([], [])
        finished += len(begun)
    assert finished > number / 2


def test_a_failure_says_what_is_left(kernel):
    ours = attached(kernel).pod.device("eth0")
    kernel.device(kernel.pod, "vlan7", "vlan", other=ours)

    def fault(point):
        if point == "after remove":
            raise RuntimeError("injected")

    with pytest.raises(SegctlError, match="detaching eth0 of process 77") as caught:
        detach(kernel, fault=fault)
    assert caught.value.state == (
        "the workload is attached as before; vlan7 on top of it is deleted; "
        "its ports have no datapath until it is attached again"
    )


def test_one_at_a_time_comes_home_and_leaves_the_turn_to_the_next(kernel):
    attached(kernel)
    seen = []

    @contextlib.contextmanager
    def turns():
        seen.append("eth0" in kernel.pod.names())
        yield
        seen.append("eth0" in kernel.pod.names())

    detach(kernel, turns=turns())
    assert seen == [False, True], "it is not held while ours is deleted"


def test_of_a_workload_that_is_gone_nothing_is_left(kernel):
    attached(kernel)
    kernel.ended.add(kernel.process.netns)
    assert detach(kernel) == []
    assert kernel.ports() == []
    assert detach(kernel) == [], "and once more nothing happens"


def test_a_workload_that_threw_ours_away_gets_nothing(kernel):
    """It would get an interface that it did not want; what is left of its own is removed."""
    attached(kernel)
    kernel.lose(kernel.pod.device("eth0"))
    assert kernel.ports() == [kernel.port.vex]
    assert detach(kernel) == []
    assert (kernel.ports(), kernel.pod.names()) == ([], ["lo"])


def test_a_port_whose_host_peer_was_deleted_is_removed(kernel):
    attached(kernel)
    kernel.lose(kernel.host.device("eth0-far"))
    assert kernel.ports() == [kernel.port.vin]
    assert detach(kernel) == []
    assert kernel.ports() == []


def test_a_port_of_another_under_the_name_is_left_alone(kernel):
    attached(kernel)
    (other, _), before = splice_again(kernel), kernel.picture(kernel.enforcer)
    assert other.vex == kernel.port.vex
    assert detach(kernel) == []
    assert kernel.picture(kernel.enforcer) == before


def splice_again(kernel):
    """Somebody else has detached it, and attached it with another port id."""
    detach(kernel)
    return splice(kernel, port_id=8)


def test_what_an_interrupted_splice_left_is_not_touched(kernel):
    attached(kernel)
    kernel.fault = at(len(kernel.changes) + 8, Killed())
    with pytest.raises(Killed):
        detach(kernel)
    kernel.alive()
    assert len(kernel.journals()) == 1
    changed = len(kernel.changes)
    with pytest.raises(SegctlError, match="an interrupted splice of eth0"):
        detach(kernel)
    assert len(kernel.changes) == changed


def test_without_an_enforcer_nothing_is_attached(kernel):
    attached(kernel)
    kernel.instance.netns.unlink()
    assert detach(kernel) == []
    cleanup(kernel.instance, kernel.port.vex, kernel.port.vin)


def test_only_what_bears_our_mark_is_deleted(kernel):
    attached(kernel)
    kernel.device(kernel.enforcer, "veth7", links.VETH)
    with iproute_at(kernel.enforcer.path) as ip:
        delete_ports(ip, "veth7", "nobody", kernel.port.vin)
    assert "veth7" in kernel.enforcer.names()
    assert kernel.ports() == [kernel.port.vex]


def test_an_orphan_is_removed_with_both_ends_and_makes_the_pair_smaller(kernel):
    kernel.eth0.mtu = 9000
    attached(kernel)
    (orphan,) = find_orphans(kernel.instance, [])
    cleanup(kernel.instance, orphan.vex, orphan.vin)
    assert kernel.ports() == []
    assert pair_mtus(kernel) == {2048}
    cleanup(kernel.instance, "", orphan.vin)

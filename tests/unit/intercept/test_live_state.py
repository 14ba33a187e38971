"""What stands now: ports, their interfaces as the workload has changed them, and whose addresses are whose."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept.enforcer import VBR
from pyctl.intercept.live_state import (
    far_vex,
    follow,
    host_side_now,
    live_addresses,
    lost_by_detach,
    port_anew,
    port_now,
    present_ports,
    standing,
    switch_offloads,
    unspliced,
    with_indexes,
)
from pyctl.model.workload import Offload
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.raw import NetlinkError, attr_u32
from tests import packets
from tests.unit.intercept.played import at, splice
from tests.unit.intercept.rtnetlink import Killed
from tests.unit.intercept.spaces import address, refused

IP4 = f"{packets.pod_one_ip4}/{packets.prefix_ip4}"
IP6 = f"{packets.pod_one_ip6}/{packets.prefix_ip6}"


@pytest.fixture
def spliced(kernel):
    """Name: spliced. Scope: function. Depends: kernel. Its eth0 is."""
    kernel.port, _ = splice(kernel)
    kernel.ours = kernel.pod.device("eth0")
    kernel.vex = kernel.enforcer.device(kernel.port.vex)
    kernel.vin = kernel.enforcer.device(kernel.port.vin)
    return kernel


def test_the_ports_that_stand_are_those_with_our_mark(spliced):
    spliced.device(spliced.enforcer, "vex9-eth0", links.VETH)
    assert present_ports(spliced.instance) == {spliced.port.vex, spliced.port.vin}
    spliced.instance.netns.unlink()
    assert present_ports(spliced.instance) == frozenset()


def test_of_names_those_stand_that_exist(spliced):
    names = {spliced.port.vex, "vex9-eth0", VBR}
    assert standing(spliced.instance, names) == {spliced.port.vex}
    assert standing(spliced.instance, {"vex9-eth0"}) == frozenset()


def test_a_namespace_that_is_new_or_gone_proves_nothing_about_ports(spliced):
    names = frozenset({spliced.port.vex, "vex9-eth0"})
    spliced.enforcer.devices.clear()
    assert standing(spliced.instance, names) == names
    spliced.instance.netns.unlink()
    assert standing(spliced.instance, names) == names


def test_a_port_of_an_unfinished_splice_stands_whatever_exists_of_it(spliced):
    other = spliced.cable(spliced.pod, "eth1", 5)
    spliced.fault = at(len(spliced.changes), Killed())
    with pytest.raises(Killed):
        splice(spliced, "eth1", port_id=8)
    spliced.alive()
    assert other in spliced.pod.devices
    assert standing(spliced.instance, {"vex4d-eth1"}) == {"vex4d-eth1"}


def test_a_port_is_read_as_the_workload_has_made_it(spliced):
    ours, was = spliced.ours, spliced.port
    ours.name, ours.mac, ours.mtu = "wan", packets.pod_two_mac, 1300
    spliced.addresses(ours, address(packets.pod_two_ip4, 24))
    now = port_now(spliced.instance, spliced.process, was)
    assert (now.interface, now.mac, now.mtu) == ("wan", packets.pod_two_mac, 1300)
    assert now.addresses == was.addresses, "those it gave itself are a claim"
    anew = port_anew(spliced.instance, spliced.process, was)
    assert anew == replace(now, addresses=(IP4, f"{packets.pod_two_ip4}/24", IP6)), (
        "as if it were attached now"
    )


def test_a_port_whose_interface_is_gone_is_as_it_was(spliced):
    spliced.lose(spliced.ours)
    for read in (port_now, port_anew):
        found = read(spliced.instance, spliced.process, spliced.port)
        assert found == spliced.port
    spliced.ended.add(spliced.process.netns)
    with pytest.raises(NotFoundError):
        port_now(spliced.instance, spliced.process, spliced.port)


def test_a_port_that_was_made_anew_has_other_indexes(spliced):
    spliced.vin.index = 4711
    now = with_indexes(spliced.instance, spliced.port)
    assert now == replace(spliced.port, vin_ifindex=4711)
    spliced.enforcer.devices.remove(spliced.vex)
    assert with_indexes(spliced.instance, spliced.port) == spliced.port


def test_addresses_of_the_loopback_and_of_others_are_not_live(kernel):
    duplicate = address(packets.pod_two_ip6, 64)
    duplicate += attr_u32(l3.IFA_FLAGS, l3.IFA_F_DADFAILED)
    kernel.addresses(kernel.eth0, duplicate)
    kernel.pod.addresses.append(address("127.0.0.1", 8, index=1))
    assert live_addresses(kernel.process) == (("eth0", IP4), ("eth0", IP6))


def test_the_mac_of_the_host_peer_counts_only_where_it_stands_alone(spliced):
    far = spliced.host.device("eth0-far")
    far.mac = packets.pod_two_mac
    now = host_side_now(spliced.instance, spliced.port)
    assert now.host_mac == packets.pod_two_mac
    far.master = spliced.device(spliced.host, "br0", "bridge").index
    assert host_side_now(spliced.instance, spliced.port).host_mac is None
    spliced.lose(spliced.vex)
    assert host_side_now(spliced.instance, spliced.port) == spliced.port


def test_what_came_onto_our_interface_is_lost_by_a_detach(spliced):
    spliced.ours.tcx, spliced.packet_sockets = 1, 3
    lost = lost_by_detach(spliced.instance, spliced.port)
    assert lost[0] == "eth0 has a tcx program, which is lost"
    assert "3 packet sockets are bound to eth0" in lost[1]
    alone = lost_by_detach(spliced.instance, spliced.port, costs=False)
    assert alone == lost[:1]


def test_nothing_is_lost_of_what_is_gone(spliced):
    assert lost_by_detach(spliced.instance, spliced.port) == ()
    unknown = replace(spliced.port, vex="vex9-eth0")
    assert lost_by_detach(spliced.instance, unknown) == ()
    spliced.ours.tcx = 1
    other = spliced.ours.space
    other.devices.remove(spliced.ours)
    assert lost_by_detach(spliced.instance, spliced.port) == ()
    other.devices.append(spliced.ours)
    spliced.ended.add(spliced.process.netns)
    assert lost_by_detach(spliced.instance, spliced.port) == ()


def test_a_new_mac_and_mtu_are_both_ports_too(spliced):
    now = replace(spliced.port, mac=packets.pod_two_mac, mtu=9000)
    spliced.ours.mtu = 9000
    follow(spliced.instance, spliced.port, now)
    assert (spliced.vex.mac, spliced.vex.mtu) == (packets.pod_two_mac, 9000)
    assert spliced.vin.mtu == 9000
    assert spliced.enforcer.device(VBR).mtu == 9000, "room for it in the pair"


def test_an_mtu_that_vex_cannot_have_is_taken_back(spliced):
    """Its parent is smaller."""
    now = replace(spliced.port, mtu=9000)
    spliced.ours.mtu = 9000

    def too_large(_number, what):
        fits = spliced.changes.count("_set_link") != tries + 5
        return None if fits else refused(errno.EINVAL)

    tries = spliced.changes.count("_set_link")
    spliced.fault = too_large
    follow(spliced.instance, spliced.port, now)
    assert spliced.vex.mtu == 1500
    assert (spliced.ours.mtu, spliced.vin.mtu) == (1500, 1500)


def test_what_has_not_changed_is_not_asked_for(spliced):
    changed = len(spliced.changes)
    follow(spliced.instance, spliced.port, replace(spliced.port, addresses=()))
    assert len(spliced.changes) == changed


def test_of_half_a_pair_the_other_half_follows(spliced):
    now = replace(spliced.port, mac=packets.pod_two_mac, mtu=1300)
    spliced.enforcer.devices.remove(spliced.vex)
    follow(spliced.instance, spliced.port, now)
    assert spliced.vin.mtu == 1300
    spliced.enforcer.devices.remove(spliced.vin)
    follow(spliced.instance, spliced.port, now)


def test_a_kernel_that_refuses_is_an_error(spliced):
    spliced.fault = lambda *_: refused(errno.EINVAL)
    with pytest.raises(NetlinkError):
        follow(spliced.instance, spliced.port, replace(spliced.port, mtu=9000))


def test_offloads_are_those_of_ours_inside(spliced):
    def switch(offload):
        switch_offloads(spliced.instance, spliced.process, spliced.port, offload)
        return spliced.ours.offloads

    assert switch(Offload.OFF) == (0, 0)
    assert switch(Offload.ON) == (0b1111, 0)
    spliced.fault = lambda *_: OSError(errno.EOPNOTSUPP, "not here")
    with pytest.raises(OSError, match="not here"):
        switch(Offload.OFF)
    spliced.alive()
    spliced.lose(spliced.ours)
    switch(Offload.OFF)
    spliced.ended.add(spliced.process.netns)
    switch(Offload.OFF)


def test_one_cable_between_two_workloads_is_known_from_both_ends(spliced):
    assert far_vex(spliced.instance, spliced.port.vex) is None
    other = spliced.space("pod2")
    inner = spliced.cable(other, "eth0", 2)
    for device in (inner.other, spliced.host.device("eth0-far")):
        spliced.host.devices.remove(device)
    inner.other, spliced.vex.other = spliced.vex, inner
    process = spliced.process_in(other, 99)
    port, _ = splice(spliced, process=process, port_id=8)
    assert far_vex(spliced.instance, spliced.port.vex) == port.vex_ifindex
    assert far_vex(spliced.instance, port.vex) == spliced.vex.index
    spliced.vex.kind = "macvlan"
    assert far_vex(spliced.instance, spliced.port.vex) is None, "that is its parent"
    assert far_vex(spliced.instance, "vex0-gone") is None


def test_interfaces_that_are_not_spliced_are_told_apart(spliced):
    spliced.cable(spliced.pod, "eth1", 5)
    names = ("eth0", "eth1", "eth7")
    assert unspliced(spliced.instance, spliced.process, names) == ("eth1",)


def test_groups_that_sockets_have_joined_are_not_addresses(spliced):
    spliced.pod.joined[2] = [socket.inet_aton("224.0.0.251")]
    found = port_anew(spliced.instance, spliced.process, spliced.port)
    assert found.addresses == (IP4, IP6)


def test_of_many_names_those_stand_that_exist_too(spliced):
    """All are looked for in one dump then."""
    names = {spliced.port.vin, *(f"vin{at}-eth0" for at in range(100, 200)), VBR}
    assert standing(spliced.instance, names) == {spliced.port.vin}

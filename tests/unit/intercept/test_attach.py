"""A splice in its steps: what is refused before it, what it makes, and that nothing of it is left where it fails,
wherever that is: each change that the kernel is asked for is refused in turn, and the process killed before each.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.intercept import attach
from pyctl.intercept.attach import ADDRESSES_MAX, port_addresses, prepare, preview
from pyctl.intercept.names import read_mark
from pyctl.intercept.recover import Outcome, recover
from pyctl.model.workload import ProcessRef
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.raw import attr_u32
from tests import packets
from tests.unit.intercept.played import PORT_ID, at, splice
from tests.unit.intercept.rtnetlink import Killed
from tests.unit.intercept.spaces import address, refused

IP4 = f"{packets.pod_one_ip4}/{packets.prefix_ip4}"
IP6 = f"{packets.pod_one_ip6}/{packets.prefix_ip6}"


def furnish(kernel):
    """A pod with what a splice has to put back in each of its steps."""
    eth0 = kernel.eth0
    eth0.alias, eth0.group, eth0.txqlen, eth0.addr_gen_mode = "uplink", 7, 123, 0
    eth0.sysctls["ipv4/conf/forwarding"] = "1"
    kernel.pod.joined[eth0.index] = [socket.inet_aton("224.0.0.251")]
    kernel.pod.routes.append(l3.default_route(socket.AF_INET6, 2, 100, 1500))
    return kernel


def on_eth0(kernel):
    nl = kernel.socket(kernel.pod)
    return [l3.address_text(one) for one in l3.dump_addresses(nl, 2)]


def changes_of(kernel, act):
    """How many changes it asks for."""
    before = len(kernel.changes)
    act(kernel)
    return len(kernel.changes) - before


def test_the_workload_has_what_it_had_and_its_port_is_known(kernel):
    furnish(kernel)
    before = kernel.picture()
    seen = []
    port, lost = splice(kernel, ready=lambda _: seen.append(kernel.picture()))
    assert (kernel.picture(), lost) == (before, [])
    assert kernel.journals() == []
    vex, vin = kernel.enforcer.device(port.vex), kernel.enforcer.device(port.vin)
    assert (vex.other.name, vin.other.name) == ("eth0-far", "eth0")
    assert (port.vex_ifindex, port.vin_ifindex) == (vex.index, vin.index)
    assert (vex.up, vin.up) == (True, True)
    assert vex.flags & links.IFF_NOARP
    assert vin.flags & links.IFF_NOARP
    assert (port.port_id, port.interface, port.kind) == (PORT_ID, "eth0", "veth")
    assert (port.mac, port.mtu, port.addresses) == (
        *(packets.pod_one_mac, 1500, (IP4, IP6)),
    )
    assert port.host_mac == packets.gateway_mac
    for one in (vex, vin):
        mark = read_mark(one.alias)
        assert (mark.port, mark.is_of(kernel.process.netns, kernel.pod.cookie)) == (
            *(PORT_ID, True),
        )


def test_the_datapath_is_set_while_both_ports_are_down(kernel):
    seen = []

    def ready(port):
        ends = [kernel.enforcer.device(name) for name in (port.vex, port.vin)]
        seen.append([(one.index, one.up) for one in ends])
        assert len(kernel.journals()) == 1, "a kill here is known to the next agent"

    port, _ = splice(kernel, ready=ready)
    assert seen == [[(port.vex_ifindex, False), (port.vin_ifindex, False)]]


def test_a_survey_touches_nothing_of_the_workload(kernel):
    before = kernel.picture()
    with prepare(kernel.instance, kernel.process, "eth0", PORT_ID) as steps:
        assert (steps.port.vex_ifindex, steps.port.vin_ifindex) == (0, 0)
        assert steps.port.addresses == (IP4, IP6)
    assert kernel.picture() == before
    assert (kernel.ports(), kernel.journals()) == ([], [])


def test_what_the_controller_fails_with_takes_the_cut_back(kernel):
    before = kernel.picture()

    def fails(_port):
        raise SegctlError("the driver refused", errno=errno.ENOSPC)

    with pytest.raises(SegctlError, match="failed at ports: the driver ref") as caught:
        splice(kernel, ready=fails)
    assert caught.value.state == "the workload is as it was"
    assert caught.value.errno == errno.ENOSPC
    assert kernel.picture() == before
    assert (kernel.ports(), kernel.journals()) == ([], [])


def test_each_change_that_is_refused_leaves_the_workload_attached_or_as_it_was(
    kernels,
):
    number = changes_of(furnish(kernels()), splice)
    outcomes = set()
    for change in range(number):
        kernel = furnish(kernels())
        before = kernel.picture()
        kernel.fault = at(change, refused(errno.EPERM))
        try:
            port, lost = splice(kernel)
        except (OSError, SegctlError):
            outcomes.add("taken back")
            assert kernel.picture() == before, kernel.changes[change]
            assert kernel.ports() == []
        else:
            outcomes.add("told")
            assert lost or kernel.picture() == before, kernel.changes[change]
            assert kernel.ports() == [port.vex, port.vin]
            assert len(on_eth0(kernel)) == 2
        assert kernel.journals() == []
    assert outcomes == {"taken back", "told"}


def test_whoever_is_killed_before_a_change_leaves_what_a_recovery_undoes(kernels):
    number = changes_of(furnish(kernels()), splice)
    cut = 0
    for change in range(number):
        kernel = furnish(kernels())
        before = kernel.picture()
        kernel.fault = at(change, Killed())
        with pytest.raises(Killed):
            splice(kernel)
        kernel.alive()
        begun = kernel.journals()
        outcomes = [one.outcome for one in recover(kernel.instance)]
        assert outcomes == [Outcome.ROLLED_BACK] * len(begun), kernel.changes[change]
        assert kernel.picture() == before, kernel.changes[change]
        assert (kernel.ports(), kernel.journals()) == ([], [])
        cut += len(begun)
    assert cut > number / 2


def test_an_interface_that_is_spliced_stays_with_its_own_port(kernel):
    port, _ = splice(kernel)
    before, changed = kernel.picture(kernel.enforcer), len(kernel.changes)
    again, lost = splice(kernel, port_id=99)
    assert (again, lost) == (port, [])
    assert kernel.picture(kernel.enforcer) == before
    assert len(kernel.changes) == changed


def test_a_macvlan_is_spliced_and_hears_all_groups(kernel):
    parent = kernel.host.device("eth0-far")
    kernel.device(kernel.pod, "mac0", "macvlan", other=parent, flags=links.IFF_UP)
    port, _ = splice(kernel, "mac0")
    assert (port.kind, port.host_mac) == ("macvlan", None)
    assert kernel.enforcer.device(port.vex).flags & links.IFF_ALLMULTI


def test_without_an_interface_of_that_name_nothing_is_found(kernel):
    with pytest.raises(NotFoundError, match="has no interface eth7"):
        splice(kernel, "eth7")
    with pytest.raises(NotFoundError, match="has no interface eth7"):
        preview(kernel.instance, kernel.process, "eth7")


def test_the_enforcers_and_the_agents_own_namespace_are_refused(kernel):
    splice(kernel)
    inside = kernel.process_in(kernel.enforcer, 78)
    with pytest.raises(RefusedError, match="the enforcer's own"):
        splice(kernel, process=inside)
    here = os.stat("/proc/self/ns/net")  # noqa: PTH116  as the product reads it
    mine = ProcessRef(79, 5, (here.st_dev, here.st_ino))
    with pytest.raises(RefusedError, match=r"(this agent|the host)$|namespace of"):
        splice(kernel, process=mine)


def test_a_port_of_a_bond_is_refused_whatever_is_forced(kernel):
    bond = kernel.device(kernel.pod, "bond0", "bond")
    kernel.eth0.master = bond.index
    before = kernel.picture()
    with pytest.raises(RefusedError, match="takes no interface back"):
        splice(kernel, force=True)
    assert kernel.picture() == before


def test_what_would_be_lost_needs_force_and_is_told(kernel):
    eth0 = kernel.eth0
    eth0.xdp, eth0.tcx = True, 1
    kernel.device(kernel.pod, "vlan7", "vlan", other=eth0)
    before = kernel.picture()
    with pytest.raises(RefusedError, match="has vlan7 on top of it and an XDP program"):
        splice(kernel)
    assert kernel.picture() == before
    told = preview(kernel.instance, kernel.process, "eth0", force=True)
    assert told[0] == "lose: eth0 had vlan7 on top of it, which is deleted"
    assert kernel.picture() == before
    port, lost = splice(kernel, force=True)
    assert len(lost) == 3
    assert kernel.pod.names() == ["eth0", "lo"]
    assert not port.xdp
    vex = kernel.enforcer.device(port.vex)
    assert (vex.xdp, vex.tcx) == (False, 0), "they would see the frames before us"


def test_what_it_costs_is_told_when_it_is_done(kernel):
    kernel.protocols, kernel.packet_sockets = ("BGP",), 2
    told = preview(kernel.instance, kernel.process, "eth0")
    costs = [line.removeprefix("cost: ") for line in told if line[:5] == "cost:"]
    assert [line.split()[0] for line in costs] == ["the", "2"]
    _, lost = splice(kernel)
    assert lost == costs


def test_a_preview_says_the_steps_and_does_none(kernel):
    before = kernel.picture()
    lines = preview(kernel.instance, kernel.process, "eth0")
    heads = [line.partition(":")[0] for line in lines]
    assert heads.index("move") < heads.index("create") < heads.index("ports")
    assert kernel.picture() == before
    assert not kernel.instance.netns.exists()


def test_what_changes_after_the_survey_is_kept_too(kernel):
    """The last look is right before the cut; whose address it is was said before."""
    with prepare(kernel.instance, kernel.process, "eth0", PORT_ID) as steps:
        kernel.eth0.mac, kernel.eth0.mtu = packets.pod_two_mac, 1400
        late = address(packets.pod_two_ip4, 24)
        kernel.addresses(kernel.eth0, late)
        before = kernel.picture()
        port = steps.cut(steps.port)
        steps.commit()
    assert kernel.picture() == before
    assert (port.mac, port.mtu) == (packets.pod_two_mac, 1400)
    assert port.addresses == (IP4, IP6)


def test_an_interface_that_goes_after_the_survey_is_not_found(kernel):
    def gone():
        with prepare(kernel.instance, kernel.process, "eth0", PORT_ID) as steps:
            kernel.lose(kernel.eth0)
            steps.cut(steps.port)

    with pytest.raises(NotFoundError, match="has no interface eth0"):
        gone()
    assert (kernel.ports(), kernel.journals()) == ([], [])


def test_ports_of_a_workload_that_is_gone_make_room(kernel):
    port, _ = splice(kernel)
    kernel.ended.add(kernel.process.netns)
    vin = kernel.enforcer.device(port.vin)
    follower = kernel.space("pod2")
    kernel.cable(follower, "eth0", 2)
    process = kernel.process_in(follower, 77)
    again, _ = splice(kernel, process=process)
    assert (again.vex, again.vin) == (port.vex, port.vin), "pid and names come again"
    assert vin not in kernel.enforcer.devices


def test_names_of_a_workload_that_lives_are_left_to_it(kernel, monkeypatch):
    port, _ = splice(kernel)
    other = kernel.space("pod2")
    kernel.cable(other, "eth0", 2)
    process = kernel.process_in(other, 77)
    again, _ = splice(kernel, process=process)
    assert {again.vex, again.vin}.isdisjoint({port.vex, port.vin})
    third = kernel.process_in(kernel.space("pod3"), 77)
    kernel.cable(kernel._spaces[-1], "eth0", 2)
    monkeypatch.setattr(attach, "port_names", lambda *_: (port.vex, port.vin))
    with pytest.raises(RefusedError, match="no name for the ports"):
        splice(kernel, process=third)


def test_an_inspected_interface_of_another_that_was_moved_here_is_not_taken(kernel):
    splice(kernel)
    other = kernel.space("pod2")
    ours = kernel.pod.device("eth0")
    kernel.pod.devices.remove(ours)
    ours.space = other
    other.devices.append(ours)
    process = kernel.process_in(other, 78)
    with pytest.raises(RefusedError, match="the inspected interface of process 77"):
        splice(kernel, process=process)


def test_without_its_original_ours_cannot_be_taken_for_attached(kernel):
    port, _ = splice(kernel)
    vex = kernel.enforcer.device(port.vex)
    kernel.enforcer.devices.remove(vex)
    with pytest.raises(RefusedError, match="its original interface is gone"):
        splice(kernel)


def test_another_splice_of_the_interface_is_not_disturbed(kernel):
    with prepare(kernel.instance, kernel.process, "eth0", PORT_ID) as first:
        with prepare(kernel.instance, kernel.process, "eth0", 8) as second:
            first.cut(first.port)
            before = kernel.picture()
            with pytest.raises((RefusedError, SegctlError)):
                second.cut(second.port)
        assert kernel.picture() == before
        first.commit()
    assert len(kernel.ports()) == 2


def test_a_port_has_so_many_addresses_at_most_and_none_of_anothers():
    many = [address(f"10.1.{one // 250}.{one % 250 + 1}", 24) for one in range(300)]
    assert len(port_addresses(many)) == ADDRESSES_MAX
    double = address(packets.pod_one_ip6, 64) + attr_u32(
        l3.IFA_FLAGS, l3.IFA_F_DADFAILED
    )
    assert port_addresses([double, many[0]]) == ("10.1.0.1/24",)


def test_the_bridge_at_the_hosts_side_is_known_before_the_port_exists(kernel):
    with prepare(kernel.instance, kernel.process, "eth0", PORT_ID) as steps:
        assert steps.segment == 0
    bridge = kernel.device(kernel.host, "br0", "bridge")
    kernel.host.device("eth0-far").master = bridge.index
    with prepare(kernel.instance, kernel.process, "eth0", PORT_ID) as steps:
        assert steps.segment > 0
        assert replace(steps.port, host_mac=None) == steps.port, "a bridge's port"

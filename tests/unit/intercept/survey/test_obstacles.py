"""What hangs on an interface: what is lost with it, and what is taken off before it moves."""

from __future__ import annotations

import struct

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.survey import obstacles
from pyctl.intercept.survey.obstacles import (
    delete_uppers,
    filtered_qdiscs,
    lost_by_move,
    strip,
)
from pyctl.platform import netns, sysctl
from pyctl.platform.bridge import fdb
from pyctl.platform.netlink import links, neighbours
from pyctl.platform.netlink.raw import attr
from tests import packets


@pytest.fixture
def pod(kernel):
    """Name: pod. Scope: function. Depends: kernel. A socket in it and a descriptor."""
    with netns.opened(kernel.pod.path) as fd:
        yield kernel.socket(kernel.pod), fd


def lost(pod):
    link = links.by_name(pod[0], "eth0")
    return [f"{one.what} {one.becomes}" for one in lost_by_move(pod[0], link, pod[1])]


def test_a_plain_interface_loses_nothing(pod):
    assert lost(pod) == []


def test_devices_on_top_go_with_it_but_its_peer_and_tunnels_do_not(kernel, pod):
    kernel.device(kernel.pod, "vlan7", "vlan", other=kernel.eth0)
    kernel.device(kernel.pod, "gre1", "gre", other=kernel.eth0)
    elsewhere = kernel.host.device("lo")
    elsewhere.index = kernel.eth0.index
    kernel.device(kernel.pod, "mac0", "macvlan", other=elsewhere)
    kernel.device(kernel.pod, "vrf0", "vrf").master = kernel.eth0.index
    assert lost(pod) == ["vlan7 on top of it is deleted"]
    assert delete_uppers(pod[0], links.by_name(pod[0], "eth0")) == ["vlan7"]
    assert kernel.pod.names() == ["eth0", "gre1", "lo", "mac0", "vrf0"]


def test_each_thing_that_the_kernel_ties_to_the_device_is_told(
    kernel, pod, monkeypatch
):
    kernel.eth0.xdp, kernel.eth0.tcx = True, 1
    kernel.hooks = ("ingress hook of table t",)
    monkeypatch.setattr(sysctl, "routes_multicast", lambda _: True)
    assert lost(pod) == [
        "an XDP program is taken off",
        "a tcx program is taken off",
        "the nftables ingress hook of table t is gone for good",
        "a multicast router's virtual interface is gone until the router makes it again",
    ]


def test_qdiscs_are_lost_where_they_have_filters(pod, monkeypatch):
    def body(name, handle):
        return struct.pack("=BxxxiIII", 0, 2, handle, 0, 0) + attr(1, name + b"\0")

    kept, one, two = body(b"fq", 1), body(b"htb", 2), body(b"htb", 3)
    monkeypatch.setattr(obstacles.qdiscs, "dump", lambda *_: (kept, one, two))
    monkeypatch.setattr(
        obstacles.qdiscs,
        "count_filters",
        lambda _nl, _index, of: int(of[0] is not kept),
    )
    assert filtered_qdiscs(pod[0], 2) == ("htb",)
    assert lost(pod) == ["a htb qdisc with filters is taken off"]


def test_a_mac_that_it_listens_to_for_others_is_cut_off(kernel, pod):
    head = struct.pack("=BxxxiHBB", 7, 2, neighbours.NUD_PERMANENT, fdb.NTF_SELF, 0)
    mac = links.mac_bytes(packets.pod_two_mac)
    kernel.pod.neighbours.append(head + attr(fdb.NDA_LLADDR, mac))
    (told,) = lost(pod)
    assert told.startswith(f"the MAC {packets.pod_two_mac} of a device elsewhere")
    kernel.device(kernel.pod, "vlan7", "vlan", other=kernel.eth0)
    assert lost(pod) == ["vlan7 on top of it is deleted"], "that is whose MAC it is"


def test_what_its_bridge_cannot_give_back_is_lost(kernel, pod, monkeypatch):
    kernel.eth0.master = kernel.device(kernel.pod, "br0", "bridge").index
    monkeypatch.setattr(
        obstacles.bridge_port, "cannot_come_back", lambda *_: ("an MRP ring",)
    )
    assert lost(pod) == ["an MRP ring is lost"]


def stripped(pod):
    return strip(pod[0], links.by_name(pod[0], "eth0"), pod[1])


def test_what_would_see_frames_before_us_is_off_after_the_strip(kernel, pod):
    kernel.eth0.xdp, kernel.eth0.tcx = True, 2
    kernel.device(kernel.pod, "vlan7", "vlan", other=kernel.eth0)
    link = stripped(pod)
    assert (link.name, link.xdp) == ("eth0", False)
    assert (kernel.eth0.xdp, kernel.eth0.tcx) == (False, 0)
    assert kernel.pod.names() == ["eth0", "lo"]


@pytest.mark.parametrize("hook", ["xdp", "tcx"])
def test_a_program_that_somebody_holds_there_refuses_the_splice(
    kernel, pod, monkeypatch, hook
):
    kernel.eth0.xdp, kernel.eth0.tcx = True, 1
    monkeypatch.setattr(getattr(obstacles, f"bpf_{hook}"), "take_off", lambda *_: False)
    kernel.device(kernel.pod, "vlan7", "vlan", other=kernel.eth0)
    with pytest.raises(RefusedError, match="cannot be taken off"):
        stripped(pod)
    assert "vlan7" in kernel.pod.names(), "nothing else was changed"

"""The other end of an interface is found wherever the host has it, and never taken from another workload."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pyctl.intercept.survey import peer
from pyctl.intercept.survey.peer import (
    at_host_peer,
    host_peer_mac,
    host_side_numbers,
    netns_numbered,
)
from pyctl.platform import netns
from pyctl.platform.netlink import links
from tests import packets
from tests.unit.intercept.played import splice


@pytest.fixture
def pod(kernel):
    """Name: pod. Scope: function. Depends: kernel. A socket in it and a descriptor."""
    with netns.opened(kernel.pod.path) as fd:
        yield kernel.socket(kernel.pod), fd


def eth0(pod):
    return links.by_name(pod[0], "eth0")


def found_at(kernel, pod, link=None):
    with at_host_peer(kernel.instance, pod[0], link or eth0(pod), pod[1]) as (_, peer):
        return peer.name if peer else None


def test_a_veths_peer_is_at_the_host(kernel, pod):
    assert found_at(kernel, pod) == "eth0-far"
    assert host_peer_mac(kernel.instance, pod[0], eth0(pod), pod[1]) == (
        packets.gateway_mac
    )


def test_in_a_named_namespace_it_is_found_too(kernel, pod, monkeypatch):
    far, router = kernel.eth0.other, kernel.space("router")
    kernel.host.devices.remove(far)
    far.space = router
    router.devices.append(far)
    assert found_at(kernel, pod) is None
    places = [kernel.host.path, kernel.place / "gone", router.path]
    monkeypatch.setattr(peer, "_candidates", lambda: iter(places))
    assert found_at(kernel, pod) == "eth0-far"


def test_a_veth_whose_ends_are_both_inside_has_its_peer_here(kernel, pod):
    one, two = (kernel.device(kernel.pod, f"v{n}", links.VETH) for n in "12")
    one.other, two.other = two, one
    assert found_at(kernel, pod, links.by_name(pod[0], "v1")) == "v2"


def test_a_lower_device_is_no_peer(kernel, pod):
    kernel.device(kernel.pod, "mac0", "macvlan", other=kernel.eth0.other)
    assert found_at(kernel, pod, links.by_name(pod[0], "mac0")) is None


def test_another_workloads_port_is_no_peer(kernel, pod, monkeypatch):
    splice(kernel)
    assert found_at(kernel, pod) is None
    places = [kernel.host.path, kernel.instance.netns]
    monkeypatch.setattr(peer, "_candidates", lambda: iter(places))
    assert found_at(kernel, pod) is None


def test_a_peer_that_is_gone_is_none(kernel, pod):
    link = eth0(pod)
    kernel.host.devices.remove(kernel.eth0.other)
    assert found_at(kernel, pod, link) is None


@pytest.mark.parametrize("field", ["master", "xdp"])
def test_only_a_peer_that_nobody_else_looks_at_can_be_passed_by(kernel, pod, field):
    setattr(kernel.eth0.other, field, 1)
    assert host_peer_mac(kernel.instance, pod[0], eth0(pod), pod[1]) is None


def test_the_hosts_numbers_are_known_and_the_own_is_none_of_them(
    kernel, pod, monkeypatch
):
    numbers = host_side_numbers(*pod)
    assert numbers == {kernel.pod.number_of(kernel.host)}
    places = [kernel.host.path, kernel.pod.path]
    monkeypatch.setattr(peer, "_candidates", lambda: iter(places))
    assert host_side_numbers(*pod) == numbers


def test_a_descriptor_of_a_numbered_one_outlives_the_search(kernel, pod):
    number = kernel.pod.number_of(kernel.host)
    with peer.contextlib.ExitStack() as stack:
        fd = netns_numbered(pod[0], number, stack)
        assert netns.identity(fd) == kernel.host.identity
        assert netns_numbered(pod[0], 4711, stack) is None
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_files_that_are_no_namespace_are_passed_over(kernel, pod, monkeypatch):
    other = kernel.place / "file"
    other.write_text("none")
    places = [other, kernel.place / "gone", kernel.host.path]
    monkeypatch.setattr(peer, "_candidates", lambda: iter(places))
    assert found_at(kernel, pod) == "eth0-far"


def test_a_blind_process_does_not_take_what_it_cannot_see_for_gone(
    kernel, pod, monkeypatch
):
    def full(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(peer.os, "open", full)
    with pytest.raises(OSError, match="Too many"):
        host_side_numbers(*pod)


def test_the_host_is_where_process_one_this_one_and_the_named_are(monkeypatch):
    monkeypatch.setattr(netns, "named", lambda: iter([Path("/run/netns/a")]))
    assert list(peer._candidates()) == [
        Path("/proc/1/ns/net"),
        Path("/proc/self/ns/net"),
        Path("/run/netns/a"),
    ]

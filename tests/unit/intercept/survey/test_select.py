"""Which interfaces are spliced: by where they lead, whether they have an address, and whether they were named."""

from __future__ import annotations

import pytest

from pyctl.errors import NotFoundError, RefusedError
from pyctl.intercept.survey.select import (
    addressed,
    candidates,
    find,
    has_address,
    refuse_link,
    refuse_netns,
    select_interfaces,
)
from pyctl.platform import netns
from pyctl.platform.netlink import links
from tests import packets
from tests.unit.intercept.spaces import address


def give(kernel, device, text="198.51.100.7", **more):
    kernel.addresses(device, address(text, 24, index=device.index, **more))
    return device


def link(kernel, name):
    nl = kernel.socket(kernel.pod)
    return nl, links.by_name(nl, name)


def inwards(kernel, name):
    """A veth to a container inside the pod."""
    inside = kernel.space(f"inside-{name}")
    far = kernel.cable(inside, "eth0", 2).other
    kernel.host.devices.remove(far)
    far.space, far.name, far.index = kernel.pod, name, kernel.pod.free_index()
    kernel.pod.devices.append(far)
    return far


def test_what_leads_to_the_host_and_is_up_is_spliced(kernel):
    kernel.cable(kernel.pod, "eth1", 5)
    kernel.cable(kernel.pod, "eth2", 6, up=False)
    give(kernel, kernel.cable(kernel.pod, "eth3", 7, up=False))
    found = find(kernel.process)
    assert found.to_host == ("eth0", "eth1", "eth3")
    assert found.bare == {"eth1"}, "it has no address yet"
    assert candidates(kernel.process) == (("eth0", "eth1", "eth3"), ())


def test_what_leads_to_a_container_inside_is_spliced_with_an_address_only(kernel):
    one, _two = inwards(kernel, "br-a"), inwards(kernel, "br-b")
    give(kernel, one)
    found = find(kernel.process)
    assert (found.to_host, found.inwards) == (("eth0",), ("br-a",))
    assert find(kernel.process, ("br-b",)).inwards == ("br-b",), "or when it is named"


def test_other_kinds_stay_with_a_warning_where_they_matter(kernel):
    give(kernel, kernel.device(kernel.pod, "tun0", "tun"))
    kernel.device(kernel.pod, "dummy0", "dummy")
    give(kernel, kernel.device(kernel.pod, "ens1", ""), "198.51.100.8")
    chosen, warnings = select_interfaces(kernel.process)
    assert chosen == ("eth0",)
    assert warnings == (
        "tun0 is of kind tun and stays as it is",
        "ens1 is of kind physical or built-in and stays as it is",
    )


def test_of_those_that_are_named_no_other_is_looked_at(kernel):
    kernel.cable(kernel.pod, "eth1", 5, up=False)
    give(kernel, kernel.device(kernel.pod, "tun0", "tun"))
    assert candidates(kernel.process, ("eth1",)) == (("eth1",), ())
    assert find(kernel.process, ("eth1",)).bare == frozenset(), "it was asked for"


def test_a_name_that_is_not_there_is_not_found(kernel):
    with pytest.raises(NotFoundError, match="no interface eth7") as caught:
        find(kernel.process, ("eth0", "eth7"))
    assert caught.value.advice == "it has lo, eth0"


def test_with_nothing_to_splice_it_is_refused_and_says_why(kernel):
    kernel.lose(kernel.eth0)
    with pytest.raises(RefusedError, match="no interface to splice") as caught:
        select_interfaces(kernel.process)
    assert "with an address is needed" in caught.value.advice
    give(kernel, kernel.device(kernel.pod, "tun0", "tun"))
    with pytest.raises(RefusedError) as caught:
        select_interfaces(kernel.process)
    assert caught.value.advice == "tun0 is of kind tun and stays as it is"


def test_the_link_local_address_that_everyone_gets_is_none(kernel):
    eth1 = kernel.cable(kernel.pod, "eth1", 5)
    give(kernel, eth1, packets.link_local_ip6, scope=253)
    nl, found = link(kernel, "eth1")
    assert not has_address(nl, found)
    assert addressed(nl) == {2}
    give(kernel, eth1)
    assert has_address(nl, found)
    assert addressed(nl) == {2, 5}


def refusal(kernel, name, *, force=False):
    nl, found = link(kernel, name)
    with netns.opened(kernel.pod.path) as fd:
        return refuse_link(nl, found, fd, force=force)


def test_another_kind_is_refused_whatever_is_forced(kernel):
    kernel.device(kernel.pod, "tun0", "tun")
    with pytest.raises(RefusedError, match="tun0 is of kind tun"):
        refusal(kernel, "tun0", force=True)
    with pytest.raises(RefusedError, match="physical or built-in"):
        refusal(kernel, "lo", force=True)


def test_one_that_nobody_uses_needs_force(kernel):
    eth1 = kernel.cable(kernel.pod, "eth1", 5, up=False)
    with pytest.raises(RefusedError, match="is down and has no address"):
        refusal(kernel, "eth1")
    assert refusal(kernel, "eth1", force=True) == ()
    give(kernel, eth1)
    assert refusal(kernel, "eth1") == ()


def test_what_hangs_on_it_needs_force_and_is_told(kernel):
    kernel.hooks = ("ingress hook of table filter",)
    with pytest.raises(RefusedError, match="eth0 has the nftables ingress hook"):
        refusal(kernel, "eth0")
    (told,) = refusal(kernel, "eth0", force=True)
    assert told.startswith("eth0 had the nftables ingress hook")
    assert told.endswith("is gone for good")


def test_a_process_of_an_outer_container_says_nothing_about_this_one(
    kernel, monkeypatch
):
    def unreadable(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.stat", unreadable)
    refuse_netns(kernel.instance, kernel.process)

"""pyroute2 and the raw client see and do the same in a namespace: what is read by one is what the other wrote."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from pyctl.platform.bpf.tc import BpfHooks
from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import iproute_at
from pyctl.platform.netlink import l3
from pyctl.platform.netlink import links as by_hand
from pyctl.platform.netlink.raw import NetlinkError
from pyctl.platform.netns import opened, raw_in
from pyctl.platform.tc.messages import TC_H_EGRESS_HOOK
from pyctl.platform.tc.rule_sets import RuleSets
from tests import packets
from tests.lab.net.netns import Lab

ODD = b"v\xffh"
"""A name that is no UTF-8."""
INDEX = 10_000_000


@pytest.fixture(scope="module")
def space():
    with Lab() as lab:
        made = lab.netns("one")
        made.batch(
            "link add name one type veth peer name two",
            f"addr add {packets.pod_one_ip4}/24 dev one",
            f"addr add {packets.pod_two_ip4}/24 dev one",
            f"addr add {packets.pod_one_ip6}/64 dev one",
            f"addr add {packets.pod_two_ip6}/64 dev one",
            "addr add 127.0.0.2/8 dev lo",
            "link set dev one up",
        )
        rename = [b"ip", b"link", b"set", b"dev", b"two", b"name", ODD]
        with made.inside():
            subprocess.run(rename, check=True)
        yield made


@pytest.fixture
def both(space):
    """(pyroute2's client, the raw one) in the namespace."""
    with opened(space.path) as fd, raw_in(fd) as nl, iproute_at(space.path) as ip:
        yield ip, nl


def test_they_see_the_same_interfaces(both):
    ip, nl = both
    odd = ODD.decode(errors="surrogateescape")
    found = links.dump(ip)
    assert found == by_hand.dump(nl)
    assert {one.name for one in found} == {"lo", "one", odd}
    assert links.names(ip) == {one.index: one.name for one in found}
    for one in found:
        assert links.by_name(ip, one.name) == links.by_index(ip, one.index) == one
    assert links.by_name(ip, "nobody") is links.by_index(ip, 4711) is None


def test_they_see_the_same_addresses_in_the_same_order(both):
    ip, nl = both
    one = by_hand.by_name(nl, "one").index
    found = links.addresses(ip, one)
    assert found == l3.dump_addresses(nl, one)
    assert len(found) == 4
    assert sorted(links.addresses(ip)) == sorted(
        body for _, body in l3.dump_all_addresses(nl)
    )
    assert links.addresses(ip, 4711) == []


def test_what_one_changes_the_other_sees(both):
    ip, nl = both
    one = by_hand.by_name(nl, "one").index
    links.change(ip, one, mtu=1400, address=packets.stranger_mac)
    links.change(ip, one, up=False, flags=by_hand.IFF_NOARP)
    now = by_hand.by_index(nl, one)
    assert (now.mtu, now.mac) == (1400, packets.stranger_mac)
    assert not now.up
    assert now.flags & by_hand.SETTABLE_FLAGS == by_hand.IFF_NOARP
    with pytest.raises(NetlinkError) as caught:
        links.change(ip, one, mtu=1)
    assert caught.value.errno == errno.EINVAL
    assert "mtu" in str(caught.value), "the kernel's own words"


def test_a_pair_has_the_names_indexes_and_flags_that_it_was_given(both):
    ip, nl = both
    flags = by_hand.IFF_NOARP | by_hand.IFF_MULTICAST
    links.add_veth(ip, ("vbr", INDEX), ("vth", INDEX + 1), 2048, flags)
    for name, index, other in (("vbr", INDEX, INDEX + 1), ("vth", INDEX + 1, INDEX)):
        found = by_hand.by_name(nl, name)
        assert (found.index, found.link, found.mtu) == (index, other, 2048)
        assert found.flags & by_hand.SETTABLE_FLAGS == flags
    with pytest.raises(NetlinkError) as caught:
        links.add_veth(ip, ("vbr", 0), ("other", 0), 2048, flags)
    assert caught.value.errno == errno.EEXIST
    assert links.delete(ip, INDEX)
    assert not links.delete(ip, INDEX)
    assert by_hand.by_name(nl, "vth") is None


def test_the_hooks_of_one_are_the_others(space):
    path = Path(space.path)
    one = space.index("one")
    with BpfHooks(path) as by_pyroute2, RuleSets(path) as raw:
        assert by_pyroute2.name_of(one) == raw.name_of(one) == "one"
        assert not raw.has_clsact(one)
        assert by_pyroute2.add_clsact(one)
        assert not by_pyroute2.add_clsact(one)
        assert not raw.add_clsact(one)
        assert raw.has_clsact(one)
        assert by_pyroute2.has_clsact(one)
        assert by_pyroute2.filters(one, hook=TC_H_EGRESS_HOOK) == []
        raw.remove_clsact_if_empty(one)
        assert not by_pyroute2.has_clsact(one)
        by_pyroute2.remove_clsact_if_empty(one)
        assert by_pyroute2.filters(4711) == raw.filters(4711) == []

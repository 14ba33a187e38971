"""The enforcer's namespace: mute before anything is in it, with a pair whose MTU follows the largest port's."""

from __future__ import annotations

import errno

import pytest

from pyctl.errors import NotFoundError
from pyctl.intercept import enforcer
from pyctl.intercept.enforcer import (
    MTU_MAX,
    MTU_MIN,
    MUTE,
    VBR,
    VBR_INDEX,
    VTH,
    VTH_INDEX,
    Cut,
    cut,
    ensure_enforcer,
    fit_mtu,
    foreign_devices,
    is_enforcer,
    remove_enforcer,
    remove_pair,
)
from pyctl.platform.netlink import links
from tests.unit.intercept.played import at, splice
from tests.unit.intercept.spaces import Device, refused


@pytest.fixture
def made(kernel):
    """Name: made. Scope: function. Depends: kernel. Its enforcer stands."""
    ensure_enforcer(kernel.instance)
    return kernel


def pair(kernel):
    return [kernel.enforcer.device(name) for name in (VBR, VTH)]


def test_it_is_mute_before_it_has_a_device(made):
    first = made.changes.index("_new_link")
    assert made.changes[1:first] == [f"write {key}" for key in MUTE]
    assert MUTE.items() <= made.enforcer.sysctls.items()


def test_its_pair_is_up_answers_no_arp_and_offers_what_the_engine_can_send(made):
    vbr, vth = pair(made)
    assert (vbr.index, vth.index) == (VBR_INDEX, VTH_INDEX)
    assert vbr.other is vth
    assert all(one.up and one.flags & links.IFF_NOARP for one in (vbr, vth))
    assert vbr.offloads == (0b1011, 0), "not tx-gso-list"
    assert vth.offloads == (0b1111, 0)


def test_made_once_more_it_changes_nothing(made):
    changed = len(made.changes)
    ensure_enforcer(made.instance)
    assert len(made.changes) == changed


@pytest.mark.parametrize("key", sorted(MUTE))
def test_who_made_it_by_hand_did_not_silence_it(made, key):
    made.enforcer.sysctls[key] = "x"
    ensure_enforcer(made.instance)
    assert made.enforcer.sysctls[key] == MUTE[key]


def test_without_ipv6_in_the_kernel_there_is_nothing_to_silence(made, monkeypatch):
    monkeypatch.setattr(enforcer.sysctl, "read", lambda _: None)
    changed = len(made.changes)
    ensure_enforcer(made.instance)
    assert len(made.changes) == changed


def test_an_end_that_is_down_or_answers_arp_is_put_right(made):
    vbr, vth = pair(made)
    vbr.flags &= ~links.IFF_UP
    vth.flags &= ~links.IFF_NOARP
    ensure_enforcer(made.instance)
    assert all(one.up and one.flags & links.IFF_NOARP for one in (vbr, vth))


def test_another_thread_that_was_faster_has_made_it(kernel, monkeypatch):
    add = links.add_veth

    def faster(nl, end, peer):
        add(nl, end, peer)
        raise refused(errno.EEXIST)

    monkeypatch.setattr(links, "add_veth", faster)
    ensure_enforcer(kernel.instance)
    assert all(one.up for one in pair(kernel))


def test_a_pair_that_cannot_be_made_is_an_error(kernel):
    kernel.fault = lambda _n, what: (
        refused(errno.EPERM) if what == "_new_link" else None
    )
    with pytest.raises(OSError, match="refused"):
        ensure_enforcer(kernel.instance)


@pytest.mark.parametrize(
    ("asked", "mtu"), [(0, MTU_MIN), (1500, MTU_MIN), (9000, 9000), (70_000, MTU_MAX)]
)
def test_the_pair_has_room_for_the_largest_frame(made, asked, mtu):
    assert fit_mtu(made.instance, asked) == mtu
    assert {one.mtu for one in pair(made)} == {mtu}


def test_it_shrinks_to_what_is_attached_and_no_further(made):
    made.eth0.mtu = 9000
    splice(made)
    fit_mtu(made.instance, 20_000)
    assert fit_mtu(made.instance, 1500) == 20_000, "who asks for less takes none away"
    assert fit_mtu(made.instance) == 9000
    pair(made)[1].mtu = 4000
    assert fit_mtu(made.instance) == 9000, "ends of two sizes are put right"


def test_links_are_read_only_where_the_mtu_may_have_to_shrink(made, monkeypatch):
    """A full node has thousands of links."""
    monkeypatch.setattr(links, "dump", lambda _: pytest.fail("all links were read"))
    assert fit_mtu(made.instance, 1500) == MTU_MIN
    assert fit_mtu(made.instance) == MTU_MIN


def test_a_pair_that_stands_is_not_cut(made):
    assert cut(made.instance) is None


@pytest.mark.parametrize("name", [VBR, VTH])
def test_what_is_wrong_with_the_pair_is_named(made, name):
    device = made.enforcer.device(name)
    device.flags &= ~links.IFF_UP
    assert cut(made.instance) == Cut(f"{name} was down", only_down=True)
    device.kind = "dummy"
    assert cut(made.instance) == Cut(f"another interface had the name {name}")
    device.name = "elsewhere"
    assert cut(made.instance) == Cut(f"{name} was gone, or had another name")


def test_both_ends_that_are_down_are_named(made):
    for one in pair(made):
        one.flags &= ~links.IFF_UP
    assert cut(made.instance) == Cut(f"{VBR} and {VTH} was down", only_down=True)


def test_whatever_has_the_pairs_names_or_indexes_is_removed(made):
    for one in pair(made):
        one.name = f"x{one.name}"
    intruder = Device(made.enforcer, VBR, 7, "dummy")
    made.enforcer.devices.append(intruder)
    remove_pair(made.instance)
    assert made.enforcer.names() == ["lo"]
    remove_pair(made.instance)


def test_devices_that_are_nobodys_port_are_told(made):
    port, _ = splice(made)
    stray = made.device(made.enforcer, "dummy0", "dummy")
    asked = {1, VBR_INDEX, port.vex_ifindex, port.vin_ifindex, stray.index, 4711}
    assert foreign_devices(made.instance, asked) == {stray.index: "dummy0"}
    assert foreign_devices(made.instance, ()) == {}


def test_it_is_removed_with_its_pair_and_stays_away(made):
    space = made.enforcer
    assert is_enforcer(made.instance, space.identity)
    assert not is_enforcer(made.instance, made.pod.identity)
    identity = space.identity
    remove_enforcer(made.instance)
    assert space.names() == ["lo"]
    assert not is_enforcer(made.instance, identity)
    remove_enforcer(made.instance)
    with pytest.raises(NotFoundError):
        fit_mtu(made.instance)


def test_where_the_pair_is_gone_the_namespace_goes_all_the_same(made):
    remove_pair(made.instance)
    remove_enforcer(made.instance)
    assert not made.instance.netns.exists()


def test_a_namespace_that_cannot_be_made_is_an_error_and_none(kernel):
    kernel.fault = at(0, refused(errno.EPERM))
    with pytest.raises(OSError, match="refused"):
        ensure_enforcer(kernel.instance)
    assert not kernel.instance.netns.exists()

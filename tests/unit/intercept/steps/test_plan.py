"""The plan: what is cut off comes back, and everything that is done can be undone."""

from __future__ import annotations

from dataclasses import replace

from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.intercept.steps.plan import (
    PARKED_MAX,
    Op,
    attach_plan,
    describe,
    detach_plan,
    parked,
)
from pyctl.platform.netlink import l3
from tests import packets
from tests.unit.intercept.conftest import LO, address

INVERSE = {
    Op.PARK: Op.UNPARK,
    Op.UNPARK: Op.PARK,
    Op.MOVE_OUT: Op.MOVE_IN,
    Op.MOVE_IN: Op.MOVE_OUT,
    Op.CREATE: Op.REMOVE,
    Op.REMOVE: Op.CREATE,
}


def test_every_structural_step_has_its_inverse(snapshot: Snapshot) -> None:
    for plan in (attach_plan, detach_plan):
        for step in plan(snapshot, "vex", "vin"):
            for operation in set(step.do) & set(INVERSE):
                assert INVERSE[operation] in step.undo, step


def test_the_workload_is_parked_before_it_is_cut_off_and_until_all_is_back(
    snapshot: Snapshot,
) -> None:
    for plan in (attach_plan, detach_plan):
        order = [op for step in plan(snapshot, "vex", "vin") for op in step.do]
        cut = min(order.index(op) for op in (Op.MOVE_OUT, Op.REMOVE) if op in order)
        assert order.index(Op.PARK) < cut
        assert order.index(Op.ROUTES) < order.index(Op.UNPARK) < order.index(Op.VERIFY)


def test_undone_newest_first_the_original_is_home_before_it_is_filled(
    snapshot: Snapshot,
) -> None:
    steps = attach_plan(snapshot, "vex", "vin")
    undone = [op for step in reversed(steps) for op in step.undo]
    assert undone.index(Op.REMOVE) < undone.index(Op.MOVE_IN)
    assert undone.index(Op.MOVE_IN) < undone.index(Op.SETTINGS)
    assert undone.index(Op.SETTINGS) < undone.index(Op.ADDRESSES)
    assert undone.index(Op.ADDRESSES) < undone.index(Op.ROUTES)


def test_a_port_is_in_its_bridge_with_all_settings_before_it_is_up(
    snapshot: Snapshot,
) -> None:
    bridged = replace(snapshot, link=replace(snapshot.link, master=3))
    for plan in (attach_plan, detach_plan):
        order = [op for step in plan(bridged, "vex", "vin") for op in step.do]
        assert order.index(Op.SETTINGS) < order.index(Op.MASTER)
        assert order.index(Op.MASTER) < order.index(Op.LINK_UP)


def test_the_datapath_is_set_before_a_port_is_up(snapshot: Snapshot) -> None:
    order = [op for step in attach_plan(snapshot, "vex", "vin") for op in step.do]
    assert order.index(Op.PORTS_READY) < order.index(Op.PORTS_UP)


def test_the_turn_is_taken_when_ours_is_gone_and_before_the_original_comes_home(
    snapshot: Snapshot,
) -> None:
    order = [op for step in detach_plan(snapshot, "vex", "vin") for op in step.do]
    assert order.index(Op.REMOVE) < order.index(Op.TAKE_TURN)
    assert order.index(Op.TAKE_TURN) + 1 == order.index(Op.MOVE_IN)


def test_step_names_are_unique(snapshot: Snapshot) -> None:
    for plan in (attach_plan, detach_plan):
        names = [step.name for step in plan(snapshot, "vex", "vin")]
        assert len(names) == len(set(names))


def test_every_global_address_is_parked_as_a_host_address(snapshot: Snapshot) -> None:
    texts = [l3.address_text(body) for body in parked(snapshot)]
    assert texts == [f"{packets.pod_one_ip4}/32", f"{packets.pod_one_ip6}/128"]


def test_of_very_many_addresses_the_first_of_each_family_are_parked(
    snapshot: Snapshot,
) -> None:
    ip4 = [address(f"10.{n // 250}.0.{n % 250 + 1}", 32) for n in range(PARKED_MAX + 9)]
    lent = parked(replace(snapshot, addresses=(*ip4, *snapshot.addresses)))
    assert len(lent) == PARKED_MAX + 1
    assert [l3.address_text(body) for body in (lent[0], lent[-1])] == [
        "10.0.0.1/32",
        f"{packets.pod_one_ip6}/128",
    ]


def test_what_lo_has_of_its_own_is_not_lent_and_so_never_taken_off(
    snapshot: Snapshot,
) -> None:
    own = address(packets.pod_one_ip4, 32, index=LO.index)
    lent = parked(replace(snapshot, loopback_addresses=(own,)))
    assert [l3.address_text(body) for body in lent] == [f"{packets.pod_one_ip6}/128"]


def test_nothing_is_parked_where_lo_is_down_or_the_interface_is(
    snapshot: Snapshot,
) -> None:
    down = replace(LO, flags=0)
    assert parked(replace(snapshot, loopback=down)) == ()
    assert parked(replace(snapshot, link=replace(snapshot.link, flags=0))) == ()
    steps = attach_plan(replace(snapshot, loopback=down), "vex", "vin")
    assert not {"park", "unpark"} & {step.name for step in steps}


def test_the_description_names_ports_and_counts(snapshot: Snapshot) -> None:
    lines = describe(attach_plan(snapshot, "vex1-eth0", "vin1-eth0"))
    assert any("vex1-eth0" in line for line in lines)
    assert "addresses: put 3 addresses back" in lines
    assert "mark" not in " ".join(describe(detach_plan(snapshot, "vex", "vin")))

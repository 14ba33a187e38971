"""The hooks of a namespace, whoever asks the kernel: what is there, what is missing, what a refusal means."""

from __future__ import annotations

import errno

import pytest

from pyctl.errors import (
    NotCapableError,
    NotFoundError,
    NotPermittedError,
    SegctlError,
)
from pyctl.platform.netlink.raw import NetlinkError, attr_u32
from pyctl.platform.tc.filters import Filter, refused, refusing
from pyctl.platform.tc.messages import TC_H_EGRESS_HOOK, TC_H_INGRESS_HOOK, TCA_CHAIN
from tests.unit.platform.tc.kernel import Played, filter_body, qdisc


def test_a_filter_is_read_by_its_head_and_attributes() -> None:
    plain = Filter(10, "u32", filter_body(5, 10))
    assert (plain.handle, plain.chain) == (0x80000800, 0)
    chained = Filter(10, "u32", plain.body + attr_u32(TCA_CHAIN, 7))
    assert chained.chain == 7


def test_a_link_is_asked_for_by_its_index_and_an_impossible_one_never() -> None:
    tc = Played()
    assert tc.name_of(5) == "vex1"
    assert tc.name_of(6) is None
    assert tc.asked == ["link", "link"]
    # An action names a deleted link with index 0.
    assert tc.name_of(0) is None
    assert tc.asked == ["link", "link"]


def test_clsact_is_added_once() -> None:
    tc = Played()
    assert tc.add_clsact(5)
    assert tc.has_clsact(5)
    assert not tc.has_clsact(6)
    tc.refusals["add"] = errno.EEXIST
    assert not tc.add_clsact(5)


def test_a_filter_proves_it_without_a_look_at_the_nodes_qdiscs() -> None:
    tc = Played()
    tc.refusals["add"] = errno.EEXIST
    tc.filters_there = [filter_body(5, 10)]
    assert not tc.add_clsact(5)
    assert "qdiscs" not in tc.asked


def test_a_plain_ingress_qdisc_is_in_the_way() -> None:
    tc = Played()
    tc.there = [qdisc(5, "ingress"), qdisc(5, "clsact", handle=0)]
    tc.refusals["add"] = errno.EEXIST
    with pytest.raises(SegctlError, match="adding a clsact qdisc to interface 5"):
        tc.add_clsact(5)


@pytest.mark.parametrize("hook", [TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK])
def test_clsact_stays_while_anybody_has_a_filter_on_either_hook(hook: int) -> None:
    tc = Played()
    tc.add_clsact(5)
    tc.filters_there = [filter_body(5, 10, hook)]
    tc.remove_clsact_if_empty(5)
    assert tc.has_clsact(5)
    tc.filters_there = []
    tc.remove_clsact_if_empty(5)
    assert not tc.has_clsact(5)


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOENT, errno.EINVAL])
def test_a_qdisc_that_is_gone_is_removed(number: int) -> None:
    tc = Played()
    tc.refusals["remove"] = number
    tc.remove_clsact_if_empty(5)


def test_filters_are_those_of_one_hook_and_one_pref() -> None:
    tc = Played()
    tc.filters_there = [
        filter_body(5, 10),
        filter_body(5, 11, kind="bpf"),
        filter_body(5, 12, TC_H_EGRESS_HOOK),
        filter_body(6, 13),
    ]
    assert [(one.pref, one.kind) for one in tc.filters(5)] == [(10, "u32"), (11, "bpf")]
    assert [one.pref for one in tc.filters(5, 11)] == [11]
    assert [one.pref for one in tc.filters(5, hook=TC_H_EGRESS_HOOK)] == [12]


def test_a_link_that_is_gone_has_no_filters_and_a_refusal_is_told() -> None:
    tc = Played()
    for number in (errno.ENODEV, errno.EINVAL):
        tc.refusals["filters"] = number
        assert tc.filters(5) == []
    tc.refusals["filters"] = errno.EPERM
    with pytest.raises(NotPermittedError, match="listing filters of interface 5"):
        tc.filters(5)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENODEV, NotFoundError),
        (errno.EPERM, NotPermittedError),
        (errno.ENOENT, NotCapableError),
        (errno.EBUSY, SegctlError),
    ],
)
def test_a_refusal_is_of_its_kind_and_says_what_was_tried(
    number: int, kind: type[SegctlError]
) -> None:
    error = refused("adding it", number, NetlinkError(number, "the kernel's words"))
    assert type(error) is kind
    assert error.errno == number
    assert "adding it" in str(error)
    assert "the kernel's words" in str(error)


def test_what_is_no_refusal_goes_through() -> None:
    with pytest.raises(OSError, match="other"), refusing("adding it"):
        raise OSError(errno.EMFILE, "other")


def test_a_block_closes_the_client() -> None:
    with Played() as tc:
        pass
    assert tc.asked == ["close"]

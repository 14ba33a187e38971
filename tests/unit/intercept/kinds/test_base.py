"""What holds for every kind: how the interface that comes home is made what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.intercept.kinds.base import Kind
from pyctl.intercept.kinds.choose import kind_of
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import attrs
from tests.unit.intercept.conftest import ETH0
from tests.unit.policy.makers import port


def told(message):
    return next(iter(attrs(message.body[16:]).items()))


def test_one_message_each_so_that_a_refused_one_costs_no_other():
    must, may = Kind().home_messages(9, replace(ETH0, group=7))
    assert [told(one)[0] for one in must] == [
        *(links.IFLA_IFNAME, links.IFLA_ADDRESS, links.IFLA_TXQLEN),
    ]
    assert told(must[0])[1] == b"eth0\0"
    assert told(must[1])[1] == links.mac_bytes(ETH0.mac)
    assert attrs(must[2].body[16:])[links.IFLA_GROUP][0] == 7
    assert [told(one)[0] for one in may] == [links.IFLA_MTU], "a parent may forbid it"


@pytest.mark.parametrize(
    ("name", "peer"), [("veth", True), ("macvlan", False), ("dummy", False)]
)
def test_only_a_peer_is_the_workloads_alone(name, peer):
    assert kind_of(name).has_peer is peer


def test_a_kind_that_nobody_knows_takes_the_new_veth_for_its_model():
    one = port(7)
    assert Kind().offload_model(one) == one.vin
    assert Kind().vex_flags == 0

"""Values of the wrong type or range never get further than this."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from pyctl.engine.dp.fields import U16, Fields
from pyctl.errors import UsageError
from tests import packets


def fields(**body):
    return Fields(body, "message")


@pytest.mark.parametrize("value", [True, -1, U16 + 1, 1.0, "1", None, [], {}])
def test_a_number_is_an_integer_in_its_range(value):
    with pytest.raises(UsageError, match=r"message\.x must be a number"):
        fields(x=value).number("x", U16)


@pytest.mark.parametrize("value", [0, U16])
def test_a_range_includes_both_ends(value):
    assert fields(x=value).number("x", U16) == value


def test_what_is_missing_is_named():
    with pytest.raises(UsageError, match="message lacks 'x'"):
        fields().number("x", 1)


def test_null_is_absent_where_a_field_may_be():
    assert fields(x=None).number("x", 9, 4) == 4
    assert fields(x=None).flag("x", True) is True
    assert fields(x=None).text("x", "-") == "-"
    assert fields(x=None).items("x") == []


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_flag_is_true_or_false(value):
    with pytest.raises(UsageError, match="true or false"):
        fields(x=value).flag("x")


@pytest.mark.parametrize(
    "name",
    [
        *("", "a/b", "a b", "a\0b", "a:b", "..", ".", "x" * 16, "a\n"),
        *("\x1b[31m", "\ud800", "é" * 8),
    ],
)
def test_an_interface_has_a_name_that_the_kernel_would_take(name):
    with pytest.raises(UsageError, match="an interface's name"):
        fields(x=name).iface("x")
    assert fields(x="vth-neuv").iface("x") == "vth-neuv"


@pytest.mark.parametrize("mac", ["", "4e:65", "4e-65-75-56-00-b4", "zz" * 6, 5, None])
def test_a_mac_has_six_bytes_with_colons(mac):
    with pytest.raises(UsageError):
        fields(x=[mac]).macs("x")


def test_macs_are_small_and_each_is_there_once():
    two = [packets.seed_two_mac, packets.seed_two_mac.upper()]
    assert fields(x=two).macs("x") == (packets.seed_two_mac,)
    assert fields(x="").optional_mac("x") is None
    assert fields().optional_mac("x") is None


@pytest.mark.parametrize(
    "address", [3232235777, True, packets.pod_one_ip6, "", "1.2.3"]
)
def test_an_address_is_dotted(address):
    with pytest.raises(UsageError):
        fields(x=address).address("x")


def test_a_subnet_may_be_given_by_a_device_in_it():
    found = fields(ip=packets.pod_one_ip4, mask=packets.seed_mask).subnet()
    assert found == IPv4Network(packets.net_ip4)


@pytest.mark.parametrize("mask", [packets.group_ip4, packets.seed_host_mask])
def test_a_mask_has_its_ones_first_and_no_holes(mask):
    with pytest.raises(UsageError, match="a netmask"):
        fields(ip=packets.unspecified_ip4, mask=mask).subnet()


@pytest.mark.parametrize(
    ("mask", "length"),
    [(packets.unspecified_ip4, 0), (packets.limited_broadcast_ip4, 32)],
)
def test_a_mask_may_be_of_any_length(mask, length):
    found = fields(ip=packets.pod_one_ip4, mask=mask).subnet()
    assert found.prefixlen == length


def test_an_error_shows_only_the_head_of_what_was_sent():
    with pytest.raises(UsageError) as told:
        fields(x="y" * 5000).number("x", 1)
    assert len(str(told.value)) < 200

"""What is left of networks without others: the same addresses, as networks."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctl.policy.document.networks import inside, outside, without
from tests import packets

WHOLE = [ip_network(packets.net_ip4), ip_network(packets.world_net_ip4)]


@st.composite
def parts(draw):
    """A network inside one of WHOLE."""
    net = draw(st.sampled_from(WHOLE))
    return draw(
        st.sampled_from(list(net.subnets(new_prefix=draw(st.integers(24, 32)))))
    )


@given(st.lists(parts(), max_size=4), st.lists(parts(), max_size=5))
def test_what_is_left_is_what_is_in_one_and_in_no_other(nets, holes):
    left = without(nets, holes)
    for address in (address for net in WHOLE for address in net):
        meant = any(address in net for net in nets) and not any(
            address in hole for hole in holes
        )
        assert any(address in net for net in left) == meant


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_the_whole_of_a_version_without_one_address(text):
    whole = ip_network(text)
    one = ip_network(packets.world_ip4 if whole.version == 4 else packets.world_ip6)
    left = without([whole], [one])
    assert len(left) == whole.max_prefixlen
    assert sum(net.num_addresses for net in left) == whole.num_addresses - 1
    assert without([whole], [whole]) == ()


def test_a_network_is_inside_one_of_its_own_version_only():
    four, six = ip_network("0.0.0.0/0"), ip_network("::/0")
    assert inside(ip_network(packets.net_ip4), four)
    assert not inside(four, ip_network(packets.net_ip4))
    assert not inside(four, six)
    assert without([four], [six]) == (four,)


@given(st.lists(parts(), max_size=6), st.lists(parts(), max_size=6))
def test_outside_is_what_has_an_address_that_is_in_none(nets, whole):
    held = {address for net in whole for address in net}
    assert outside(nets, whole) == [net for net in nets if not held.issuperset(net)]

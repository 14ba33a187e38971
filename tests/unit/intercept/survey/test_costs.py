"""What needs --force, and what is only told."""

from __future__ import annotations

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.survey import costs
from pyctl.intercept.survey.costs import (
    UNASKED_ADDRESSES_MAX,
    Cost,
    Place,
    refuse_costs,
    too_much_unasked,
    weigh,
)
from pyctl.platform import netns
from pyctl.platform.netlink import links
from tests.unit.intercept.conftest import ETH0

SHORT = Cost("sessions may end")
LONG = Cost("it is silent for 8 s", seconds=8.0)
LOSS = Cost("9 routes are lost", loses=True)


def test_what_is_short_is_told() -> None:
    assert refuse_costs(ETH0, [SHORT], force=False) == ("sessions may end",)


@pytest.mark.parametrize("heavy", [LONG, LOSS])
def test_a_long_cut_or_a_loss_is_borne_only_by_who_says_so(heavy: Cost) -> None:
    with pytest.raises(RefusedError, match=heavy.what) as caught:
        refuse_costs(ETH0, [SHORT, heavy], force=False)
    assert "--force" in caught.value.advice
    assert refuse_costs(ETH0, [SHORT, heavy], force=True) == (SHORT.what, heavy.what)


@pytest.fixture
def here(kernel):
    """Name: here. Scope: function. Depends: kernel. Its eth0, with a socket beside it."""
    with netns.opened(kernel.pod.path) as fd:
        nl = kernel.socket(kernel.pod)
        yield lambda: Place(nl, fd, links.by_name(nl, "eth0"))


def weighed(kernel, here):
    return [
        (cost.what, cost.needs_force) for cost in weigh(kernel.instance, here(), here())
    ]


def test_an_interface_of_which_nothing_hangs_costs_nothing(kernel, here):
    assert weighed(kernel, here) == []


def test_a_bridge_that_waits_before_it_forwards_costs_its_delay(
    kernel, here, monkeypatch
):
    delays = {kernel.host: 30.0, kernel.pod: 0.5}
    monkeypatch.setattr(costs, "forward_delay", lambda nl, _port: delays[nl._space])
    outside, inside = weighed(kernel, here)
    assert outside == (
        "the host's bridge runs a spanning tree (STP): it does not forward for eth0 for 30 s",
        True,
    )
    assert inside[0].startswith("the workload's bridge runs")
    assert not inside[1], "half a second is borne"


def test_routes_that_are_too_many_are_a_loss(kernel, here, monkeypatch):
    monkeypatch.setattr(costs, "ROUTES_MAX", 0)
    (told,) = weighed(kernel, here)
    assert told == ("eth0 has 1 routes, and only 0 are put back", True)


def test_sessions_and_sockets_are_told(kernel, here):
    kernel.protocols, kernel.packet_sockets = ("BGP", "OSPF"), 2
    (spoken, heavy), (bound, _) = weighed(kernel, here)
    assert spoken.startswith("the workload speaks BGP, OSPF: ")
    assert bound.startswith("2 packet sockets are bound to eth0 ")
    assert not heavy


def test_what_an_interface_without_a_peer_costs_is_known_too(kernel, here):
    kernel.host.devices.clear()
    assert weighed(kernel, here) == []


@pytest.mark.parametrize("what", ["addresses", "routes"])
def test_what_is_spliced_unasked_carries_so_much_and_no_more(
    kernel, here, monkeypatch, what
):
    place = here()
    number = UNASKED_ADDRESSES_MAX if what == "addresses" else costs.UNASKED_ROUTES_MAX
    dump = "dump_addresses" if what == "addresses" else "dump_routes_over"
    monkeypatch.setattr(costs.l3, dump, lambda *_: [b""] * number)
    assert too_much_unasked(place.nl, place.link) == ""
    monkeypatch.setattr(costs.l3, dump, lambda *_: [b""] * (number + 1))
    why = too_much_unasked(place.nl, place.link)
    assert f"more than {number} {what}" in why
    assert "segctl attach --interface eth0" in why

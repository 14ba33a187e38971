from __future__ import annotations

from dataclasses import fields, replace

import pytest

from fallback_tc.pair import CLASSIC, Options, Pair
from fallback_tc.rules import Parent
from tests import packets
from tests.unit.fallback_tc.makers import PAIR


@pytest.mark.parametrize(
    "wrong",
    [
        {"vex": "vbr-neuv"},
        {"vin": "vinbe87-eth0-and-more"},
        {"mac": packets.broadcast_mac},
        {"mac": packets.seed_two_ucmac},
        {"mac": "none"},
        {"ucmac": packets.seed_two_mac},
        {"pref_ex": 40},
        {"pref_in": 0},
        {"pref_in": 65536},
        {"pref_base": 4},
        {"pref_base": 65530},
        {"broadcasts": (packets.pod_one_ip6,)},
    ],
    ids=str,
)
def test_a_pair_that_cannot_be_steered_is_refused(wrong):
    """A group MAC would contradict the rule's own match, an equal pref replace a rule."""
    with pytest.raises(ValueError):  # noqa: PT011  each has its own words
        replace(PAIR, **wrong)


def test_every_option_is_on_unless_the_set_is_the_classic_one():
    for field in fields(Options):
        if field.name != "parent":
            assert getattr(Options(), field.name) is True
            assert getattr(CLASSIC, field.name) is False
    assert Options().parent is Parent.CLSACT_INGRESS
    assert CLASSIC.parent is Parent.INGRESS


def test_a_pair_needs_no_more_than_its_names():
    given = (PAIR.vex, PAIR.vin, PAIR.bridge, PAIR.mac, PAIR.ucmac)
    assert Pair(*given, pref_ex=1, pref_in=2).broadcasts == ()

from __future__ import annotations

import pytest
from hypothesis import given

from fallback_tc.rules import (
    Direction,
    Gact,
    Header,
    Match,
    Mirred,
    Munge,
    MungeMac,
    Parent,
    Pedit,
    Rule,
    Side,
    Verdict,
    folded,
    mac_bytes,
    normal,
    words,
)
from tests import packets
from tests.unit.fallback_tc.makers import MACS, RULES


def rule(*matches: Match) -> Rule:
    return Rule("lo", Parent.INGRESS, 1, "all", matches, (Gact(Verdict.DROP),))


def test_matches_of_one_word_become_one_key():
    """So the kernel shows one key for the two matches that begin the classic rule."""
    asked = rule(
        Match(1, 0, 1, -14), Match(2, 0x0242, 0xFFFF, -14), Match(1, 7, 0x0F, -15)
    )
    assert normal(asked).matches == (Match(4, 0x00070242, 0x000FFFFF, -16),)


def test_matches_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="contradicts"):
        normal(rule(Match(1, 1, 1, -14), Match(2, 0x0242, 0xFFFF, -14)))


@given(asked=RULES)
def test_the_kernels_form_has_no_further_one(asked):
    assert normal(normal(asked)) == normal(asked)


@pytest.mark.parametrize(
    ("width", "offset", "word"),
    [
        (1, -14, Munge(4, 0x0000AB00, -16, 0xFFFF00FF)),
        (1, 3, Munge(4, 0x000000AB, 0, 0xFFFFFF00)),
        (2, -14, Munge(4, 0x000000AB, -16, 0xFFFF0000)),
        (2, -4, Munge(4, 0x00AB0000, -4, 0x0000FFFF)),
        (4, -8, Munge(4, 0x000000AB, -8, 0)),
    ],
)
def test_a_munge_is_a_word_that_keeps_the_rest(width, offset, word):
    assert words(Munge(width, 0xAB, offset)) == (word,)


@given(mac=MACS)
def test_a_whole_mac_is_two_words_and_folds_back(mac):
    for side in Side:
        munge = MungeMac(side, mac)
        pair = words(munge)
        assert [word.header for word in pair] == [Header.ETH] * 2
        # Six bytes in all, each once.
        assert sum((0xFFFFFFFF & ~word.keep).bit_count() for word in pair) == 48
        assert folded(pair) == (munge,)
        assert folded((*pair, *pair)) == (munge, munge)


def test_words_that_are_no_whole_mac_stay_as_they_are():
    first, second = words(MungeMac(Side.DST, packets.seed_mac))
    other = Munge(4, 1, 8, 0xFFFF0000, Header.ETH)
    for munges in ((first,), (second, first), (first, other), (other, first)):
        assert folded(munges) == munges


@pytest.mark.parametrize(
    "make",
    [
        lambda: Match(3, 0, 0),
        lambda: Match(2, 0, 0, 1),
        lambda: Match(4, 0, 0, -14),
        lambda: Match(1, 0, 256),
        lambda: Match(1, -1, -1),
        lambda: Match(1, 2, 1),
        lambda: Munge(2, 0x10000, 0),
        lambda: Munge(2, 1, 0, keep=1),
        lambda: MungeMac(Side.DST, "02:42"),
        lambda: Pedit(()),
        lambda: Pedit((Munge(4, 0, 0), MungeMac(Side.DST, packets.seed_mac))),
        lambda: Mirred(Direction.MIRROR, ""),
        lambda: Mirred(Direction.MIRROR, "a name"),
        lambda: Mirred(Direction.MIRROR, "sixteen-bytes-it"),
        lambda: Rule("lo", Parent.INGRESS, 0, "all", (Match(1, 0, 0),), ()),
        lambda: Rule("lo", Parent.INGRESS, 65536, "all", (Match(1, 0, 0),), ()),
        lambda: Rule("a/b", Parent.INGRESS, 1, "all", (Match(1, 0, 0),), ()),
        rule,
        lambda: mac_bytes("zz:42:ac:11:00:02"),
        lambda: mac_bytes(packets.pod_one_ip6),
        lambda: mac_bytes("  " + packets.seed_mac[2:]),
    ],
)
def test_what_no_kernel_takes_is_refused_at_once(make):
    with pytest.raises(ValueError):  # noqa: PT011  each has its own words
        make()

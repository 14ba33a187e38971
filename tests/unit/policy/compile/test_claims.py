"""Whose an address is that a workload gave itself: nobody's rights change by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.workload import ADDRESSES_MAX, Claim, ClaimState, FollowAddresses
from pyctl.policy.compile.claims import (
    absent,
    claimed,
    contested,
    in_groups,
    owned_networks,
    settle,
    shared,
    taken,
    without,
)
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import addresses, parsed
from pyctl.policy.document.types import EMPTY
from tests import packets
from tests.unit.policy.makers import port, workload

FREE = f"{packets.leased_ip4}/32"
OFFICE = f"{packets.world_ip4}/32"
WEB_IP = f"{packets.pod_one_ip4}/24"
POLICY = parse(
    f"""
apiVersion: segctl/v1
groups:
  office: {{cidrs: ["{packets.world_net_ip4}"]}}
  everywhere: {{cidrs: ["0.0.0.0/0"]}}
"""
)
WEB = workload("web", port(1, WEB_IP))


def claiming(*texts, name="app", follow=FollowAddresses.NO):
    own = workload(name, port(2, f"{packets.pod_two_ip4}/24"))
    claims = tuple(Claim(text, "eth0") for text in texts)
    return replace(own, follow=follow, claims=claims)


def states(policy, *workloads):
    """(state, reason) by address of the first of them."""
    settled = settle(policy, workloads).get(workloads[0].id, workloads[0].claims)
    return {claim.address: (claim.state, claim.reason) for claim in settled}


@pytest.mark.parametrize(
    ("address", "follow", "state", "reason"),
    [
        (FREE, "no", ClaimState.UNUSED, "not followed"),
        (FREE, "free", ClaimState.FOLLOWED, ""),
        (FREE, "any", ClaimState.FOLLOWED, ""),
        (OFFICE, "no", ClaimState.REFUSED, "the group office"),
        (OFFICE, "free", ClaimState.REFUSED, "the group office"),
        (OFFICE, "any", ClaimState.FOLLOWED, ""),
        (WEB_IP, "no", ClaimState.REFUSED, "web has it"),
        (WEB_IP, "free", ClaimState.REFUSED, "web has it"),
        (WEB_IP, "any", ClaimState.REFUSED, "web has it"),
    ],
)
def test_a_claim_holds_as_the_operator_said_and_never_against_another(
    address, follow, state, reason
):
    one = claiming(address, follow=FollowAddresses(follow))
    found, why = states(POLICY, one, WEB)[address]
    assert found is state
    assert reason in why
    now = replace(one, claims=settle(POLICY, [one, WEB])[one.id])
    used = parsed((address,))[0] in addresses(now)
    assert used == (state is ClaimState.FOLLOWED)


def test_of_two_that_claim_one_the_first_keeps_it():
    free = FollowAddresses.FREE
    late = claiming(FREE, name="early-by-name", follow=free)
    first = claiming(FREE, name="zoo", follow=free)
    held = replace(first, claims=(Claim(FREE, "eth0", ClaimState.FOLLOWED),))
    assert states(EMPTY, late, held)[FREE] == (ClaimState.REFUSED, "zoo has it")
    assert held.id not in settle(EMPTY, [late, held])
    assert states(EMPTY, late)[FREE] == (ClaimState.FOLLOWED, "")


def test_what_becomes_another_is_followed_no_more():
    held = claiming(WEB_IP, follow=FollowAddresses.FREE)
    held = replace(held, claims=(Claim(WEB_IP, "eth0", ClaimState.FOLLOWED),))
    assert settle(EMPTY, [held]) == {}
    assert states(EMPTY, held, WEB)[WEB_IP] == (ClaimState.REFUSED, "web has it")


def test_what_was_given_is_no_claim_whatever_interface_has_it_now():
    web = replace(WEB, found=(FREE,), added=(OFFICE,))
    live = [("lo", FREE), ("eth0", WEB_IP), ("dummy0", OFFICE), ("eth0", "10.9.9.9/8")]
    live += [("eth0", text) for text in web.link_locals]
    assert claimed(web, live) == (Claim("10.9.9.9/8", "eth0"),)


def test_a_claim_keeps_its_state_while_it_stands():
    one = claiming(FREE)
    known = Claim(FREE, "eth0", ClaimState.REFUSED, "why")
    one = replace(one, claims=(known,))
    assert claimed(one, [("eth0", FREE)]) == (known,)
    assert claimed(one, [("eth1", FREE)]) == (Claim(FREE, "eth1"),)
    assert claimed(one, []) == ()


def test_what_it_has_no_more_is_anybodys_until_it_has_it_again():
    web = replace(WEB, found=(FREE,))
    live = [("eth0", WEB_IP)]
    assert absent(web, live) == (FREE,)
    away = replace(web, absent=(FREE,))
    assert (FREE in away.given, FREE in away.usual, away.spare) == (
        True,
        False,
        (FREE,),
    )
    follower = claiming(FREE, follow=FollowAddresses.FREE)
    assert states(EMPTY, claiming(FREE), away)[FREE][0] is ClaimState.UNUSED
    assert states(EMPTY, follower, away)[FREE] == (ClaimState.FOLLOWED, "")
    follower = replace(follower, claims=settle(EMPTY, [follower, away])[follower.id])
    assert taken([follower, away]) == {away.id: (FREE,)}
    away = replace(away, taken=(FREE,))
    assert away.spare == ()
    assert taken([follower, away]) == {}
    assert absent(away, [*live, ("lo", FREE)]) == ()
    back = replace(away, absent=())
    assert states(EMPTY, follower, back)[FREE] == (ClaimState.REFUSED, "web has it")
    assert taken([back]) == {back.id: ()}


def test_what_no_interface_ever_had_is_not_missed_there():
    web = replace(WEB, told=(FREE,), added=(OFFICE,), found=(OFFICE,))
    assert absent(web, [("eth0", WEB_IP)]) == ()


def test_who_has_no_port_holds_no_address():
    former = replace(workload("former"), found=(FREE, WEB_IP))
    assert former.given
    assert former.addresses == ()
    assert shared([WEB, former]) == {}
    assert states(EMPTY, claiming(FREE), former)[FREE][0] is ClaimState.UNUSED


def test_very_many_claims_are_cut_short():
    live = [("eth0", f"10.{n >> 8}.{n & 255}.1/32") for n in range(2 * ADDRESSES_MAX)]
    assert len(claimed(WEB, live)) == ADDRESSES_MAX


def test_a_group_that_is_everywhere_owns_nothing():
    assert {str(net) for net in owned_networks(POLICY)} == {packets.world_net_ip4}


def test_a_link_local_address_of_anothers_mac_is_refused():
    (text,) = WEB.link_locals
    one = claiming(text, follow=FollowAddresses.ANY)
    assert states(POLICY, one, WEB)[text] == (ClaimState.REFUSED, "web has it")


def test_what_a_workload_is_merely_found_with_may_be_anothers():
    (web_ip,), own = parsed((WEB_IP,)), parsed(WEB.link_locals)
    late = workload("db", port(3, WEB_IP, *WEB.link_locals, FREE))
    assert contested(late, [WEB]) == {web_ip: (WEB,), own[0]: (WEB,)}
    assert contested(late, [claiming(WEB_IP)]) == {}, "a claim gives nothing"
    for told in ({"told": (WEB_IP,)}, {"added": (web_ip.exploded,)}):
        assert contested(replace(late, **told), [WEB]).keys() == {own[0]}
    left = without(replace(late, found=(WEB_IP, OFFICE)), contested(late, [WEB]))
    assert left.ports[0].addresses == (FREE,)
    assert left.found == (OFFICE,)
    live = [("eth0", FREE), ("lo", WEB_IP)]
    now = replace(left, claims=claimed(left, live))
    assert states(POLICY, now, WEB) == {WEB_IP: (ClaimState.REFUSED, "web has it")}
    assert states(POLICY, now) == {
        WEB_IP: (
            ClaimState.UNUSED,
            "its addresses are not followed (attach --follow-addresses)",
        )
    }
    assert shared([now, WEB]) == {}


def test_what_is_found_or_given_in_a_group_is_told_with_the_group():
    late = workload("db", port(3, OFFICE, FREE))
    office = {parsed((OFFICE,))[0]: "office"}
    assert in_groups(POLICY, late) == office
    given = replace(workload("db", port(3, FREE)), added=(OFFICE,))
    assert in_groups(POLICY, given) == office
    assert in_groups(POLICY, replace(late, told=(OFFICE,))) == {}


def test_shared_addresses_are_those_that_several_were_given():
    other = replace(workload("db", port(3, WEB_IP)), found=(FREE,))
    both = shared([WEB, other, claiming(FREE)])
    assert both == {parsed((WEB_IP,))[0]: ("web", "db")}

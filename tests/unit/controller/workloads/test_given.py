"""Which MACs and addresses count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.controller.workloads import given
from pyctl.controller.workloads.given import as_given, mac_that_counts, told_by_runtime
from pyctl.intercept.survey.segments import Found
from pyctl.model.workload import FollowAddresses
from tests import packets
from tests.unit.policy.makers import port, workload

IP = f"{packets.pod_one_ip4}/24"
LATER = f"{packets.leased_ip4}/24"
BESIDE = f"{packets.proxied_ip4}/32"
PORT = port(1, IP, LATER)
WEB = workload("web", PORT)
DB = workload("db", port(2))


def test_of_an_interface_that_comes_later_what_was_given_is_its_own():
    assert as_given(PORT, None) == PORT
    assert as_given(PORT, [f"{packets.pod_one_ip4}/32"]).addresses == (IP,)
    assert as_given(PORT, []).addresses == ()


@pytest.mark.parametrize(
    ("follow", "mac", "counts", "why"),
    [
        ("no", PORT.mac, PORT.mac, ""),
        ("no", packets.stranger_mac, PORT.mac, "not followed"),
        ("free", packets.stranger_mac, packets.stranger_mac, ""),
        ("free", DB.ports[0].mac, PORT.mac, "db has it"),
        ("any", DB.ports[0].mac, PORT.mac, "db has it"),
    ],
)
def test_a_mac_counts_as_the_operator_said_and_never_anothers(follow, mac, counts, why):
    web = replace(WEB, follow=FollowAddresses(follow))
    found, reason = mac_that_counts(web, PORT, replace(PORT, mac=mac), [DB])
    assert found == counts
    assert why in reason


def on(monkeypatch, **places: int) -> None:
    """Port `p1` is on segment ..., and so on; all live."""
    by_port = {int(name[1:]): place for name, place in places.items()}
    monkeypatch.setattr(given, "read_segments", lambda *_: Found(by_port))
    monkeypatch.setattr(given, "process_alive", lambda _: True)


RIVAL = workload("rival", port(3, IP), port(4))


@pytest.mark.parametrize(
    ("places", "keeps"),
    [
        ({}, True),
        ({"p1": 7}, True),
        ({"p1": 7, "p3": 8}, True),
        ({"p1": 7, "p3": 8, "p4": 7}, False),
        ({"p1": 7, "p3": 7}, False),
    ],
    ids=["unknown", "of one", "two bridges", "two bridges, one shared", "one bridge"],
)
def test_on_one_bridge_it_is_whose_it_was_first(monkeypatch, places, keeps):
    on(monkeypatch, **places)
    late = given.uncontested(None, RIVAL, [WEB])
    assert late.ports[0].addresses == ((IP,) if keeps else ())
    monkeypatch.setattr(given, "process_alive", lambda _: False)
    assert given.uncontested(None, RIVAL, [WEB]) == RIVAL, "nobody holds it"


def test_the_holder_has_it_where_its_interface_is(monkeypatch):
    on(monkeypatch, p3=8, p4=7, p1=7)
    assert given.uncontested(None, WEB, [RIVAL]) == WEB
    beside = replace(RIVAL, ports=RIVAL.ports[1:], found=(IP,))
    assert given.uncontested(None, WEB, [beside]).ports[0].addresses == (LATER,)


def test_what_a_runtime_gives_is_taken_from_who_was_merely_found_with_it(monkeypatch):
    on(monkeypatch, p1=7, p3=7)
    monkeypatch.setattr(given, "with_claims", lambda one: one)
    assert given.yielding(None, WEB, [RIVAL]) == []
    told = replace(WEB, told=(IP,))
    (now,) = given.yielding(None, told, [RIVAL])
    assert now.ports[0].addresses == ()
    assert given.yielding(None, told, [replace(RIVAL, added=(IP,))]) == []


@pytest.mark.parametrize(
    ("automatic", "told", "own"),
    [
        (False, (IP,), {IP, LATER, BESIDE}),
        (True, (IP,), {IP}),
        (True, (), {IP, LATER, BESIDE}),
    ],
    ids=["by hand", "by itself", "nobody tells"],
)
def test_where_nobody_looks_on_only_what_a_runtime_tells_is_given(
    monkeypatch, automatic, told, own
):
    live = (("eth0", IP), ("eth0", LATER), ("lo", BESIDE))
    monkeypatch.setattr(given, "port_anew", lambda *_: PORT)
    monkeypatch.setattr(given, "live_addresses", lambda _: live)
    known = replace(WEB, told=told)
    anew = given.taken_anew(None, known, None, (), automatic=automatic)
    assert {*anew.given} == own
    assert {one.address for one in anew.claims} == {text for _, text in live} - own


def test_nobody_tells_a_process_its_addresses():
    assert told_by_runtime(WEB) == ()

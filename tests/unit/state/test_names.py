"""Whoever said something is called by name, though it has ended by the time it is told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pyctl.state.names import KEPT_S, Names, names_of
from tests import packets
from tests.unit.policy.makers import port, workload

OWN, FAR = packets.pod_one_ip4, packets.pod_two_ip4
WEB = workload("web", port(1, f"{OWN}/24"))
DB = workload("db", port(2, f"{FAR}/24"))


@pytest.fixture
def later(monkeypatch):
    """Let so many seconds pass."""
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])

    def wait(seconds):
        passed[0] += seconds

    return wait


def test_a_port_s_end_is_its_workload_and_the_other_goes_by_address():
    names = names_of([WEB, DB])
    assert names.ends(1, "egress", "203.0.113.1", FAR) == ("web", "db")
    assert names.ends(1, "ingress", FAR, "203.0.113.1") == ("db", "web")
    assert names.ends(9, None, OWN, "203.0.113.1") == ("web", None)


def test_an_address_of_two_tenants_is_who_has_it_on_the_port_s_bridge():
    def on(bridge, load):
        ports = (replace(one, segment=bridge, closed=True) for one in load.ports)
        return replace(load, ports=tuple(ports))

    twin = on(8, workload("twin", port(3, f"{OWN}/24")))
    names = names_of([on(7, WEB), on(7, DB), twin, on(8, workload("app", port(4)))])
    assert names.ends(2, "ingress", OWN, FAR) == ("web", "db")
    assert names.ends(4, "egress", FAR, OWN) == ("app", "twin")


def test_who_has_gone_keeps_its_port_s_name_and_its_address_for_a_while(later):
    names = names_of([WEB, DB])
    names.refresh([DB])
    assert names.of_port(1) == "web"
    assert names.of_address(OWN) == "web"
    later(KEPT_S + 1)
    assert names.of_address(OWN) is None
    assert names.of_port(1) == "web"
    assert names.of_address(FAR) == "db"


def test_an_address_is_its_next_holder_s_at_once():
    names = names_of([WEB])
    names.refresh([workload("next", port(3, f"{OWN}/24"))])
    assert names.of_address(OWN) == "next"


def test_who_came_and_went_between_two_looks_has_a_name(later):
    names = Names()
    names.note("brief\udcff", port(4, f"{OWN}/24"))
    names.refresh([DB])
    assert (names.of_port(4), names.of_address(OWN)) == ("brief\\xff", "brief\\xff")
    later(KEPT_S + 1)
    names.refresh([])
    assert names.of_address(OWN) is None

"""Capabilities as /proc tells them."""

from __future__ import annotations

import os

import pytest

from pyctl.platform import cap_net_admin as caps
from pyctl.platform.cap_net_admin import CAP_NET_ADMIN, capabilities, rules_networks

NET = 1 << CAP_NET_ADMIN


def status(uid: int, effective: int, bounding: int) -> str:
    return (
        f"Name:\todd: name\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
        f"CapEff:\t{effective:016x}\nCapBnd:\t{bounding:016x}\n"
    )


@pytest.mark.parametrize(
    ("uid", "effective", "bounding", "found"),
    [
        (0, NET, NET, NET),
        (0, 0, NET, NET),
        (1000, 0, NET, 0),
        (1000, NET, NET, NET),
        (0, 1, 1, 1),
    ],
)
def test_root_gets_back_what_its_bounding_set_leaves(uid, effective, bounding, found):
    assert capabilities(status(uid, effective, bounding)) == found


def test_the_hosts_own_root_is_nobody_to_warn_of(monkeypatch):
    monkeypatch.setattr(caps, "capabilities", lambda _: NET | 1 << caps.CAP_SYS_ADMIN)
    assert not rules_networks(os.getpid())
    monkeypatch.setattr(caps, "capabilities", lambda _: NET)
    assert rules_networks(os.getpid())


def test_a_process_that_has_ended_rules_nothing():
    assert not rules_networks(2**22 + 1)

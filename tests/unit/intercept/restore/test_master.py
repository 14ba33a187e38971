"""Whose port an interface may be when it is spliced."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.restore import master
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.bridge.port import BridgePort
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import Message, NetlinkError, attrs
from tests.unit.intercept.conftest import ETH0

PORT = replace(ETH0, master=3)


@pytest.fixture
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name: kind. Scope: function. Depends: nothing. That of the master, which is up0 and has index 3."""

    def found(_nl: object, index: int) -> Link | None:
        made = replace(ETH0, index=3, name="up0", kind=request.param)
        return made if index == 3 else None

    monkeypatch.setattr(links, "by_index", found)
    return str(request.param)


@pytest.mark.parametrize("kind", ["bond", "team", "openvswitch"], indirect=True)
def test_what_takes_no_interface_back_as_it_was_is_refused(kind: str) -> None:
    with pytest.raises(RefusedError, match=rf"port of up0 \({kind}\)"):
        master.refuse_master(None, PORT)
    master.refuse_master(None, ETH0)


@pytest.mark.parametrize("kind", ["bridge", "vrf"], indirect=True)
def test_a_bridge_and_a_vrf_have_theirs_back(kind: str) -> None:
    assert master.unfit_master(None, PORT) is None, kind


def test_a_lost_place_is_a_difference(snapshot: Snapshot) -> None:
    inside = replace(snapshot, link=PORT)
    assert master.differences(inside, inside) == []
    assert len(master.differences(inside, snapshot)) == 1


class Taking:
    """A namespace where the interface has no master, and may not get one."""

    def __init__(self, *refuses: NetlinkError) -> None:
        self.refuses = refuses
        self.sent: list[Message] = []

    def batch(self, messages: Iterable[Message]) -> list[NetlinkError | None]:
        self.sent += messages
        return list(self.refuses) or [None]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name: alone. Scope: function. Depends: nothing. The interface is in no master now."""
    monkeypatch.setattr(links, "by_index", lambda *_: ETH0)
    monkeypatch.setattr(
        master.bridge_port, "put_back", lambda *_: ["its path cost: no"]
    )


@pytest.mark.usefixtures("alone")
def test_into_its_master_first_and_then_with_its_settings(snapshot: Snapshot) -> None:
    inside = replace(snapshot, link=PORT, port=BridgePort(3, (), (), (), (), ()))
    nl = Taking()
    assert master.put_back(nl, inside) == ["its path cost: no"]
    (enslaved,) = nl.sent
    assert attrs(enslaved.body[16:])[links.IFLA_MASTER] == struct.pack("=I", 3)
    refusing = Taking(NetlinkError(16, "busy"))
    assert master.put_back(refusing, inside) == ["[Errno 16] busy"]
    assert master.put_back(Taking(), replace(inside, port=None)) == [], "a VRF"


@pytest.mark.usefixtures("alone")
def test_without_a_master_nothing_is_sent(snapshot: Snapshot) -> None:
    nl = Taking()
    assert master.put_back(nl, snapshot) == []
    assert master.put_back_running(nl, snapshot) == []
    assert nl.sent == []

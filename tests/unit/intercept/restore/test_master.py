"""Whose port an interface may be when it is spliced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.restore import master
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
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

"""What was asked for, on disk: it outlives the agent, and what cannot be read is nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pyctl.datapath.u32.state import U32State
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Fail, Mode, Service
from tests import packets
from tests.unit.datapath.makers import PAIR


@pytest.fixture
def state(monkeypatch, tmp_path) -> U32State:
    monkeypatch.setattr(Instance, "run_dir", property(lambda _: tmp_path))
    return U32State(Instance("one"))


def test_the_holder_of_an_interface_is_the_last_that_asked_for_it(state):
    state.put(PAIR)
    assert (state.holder(5), state.holder(7)) == (300, None)
    heir = replace(PAIR, port_id=301, vin_ifindex=8)
    state.put(heir)
    assert (state.holder(5), state.holder(6), state.holder(8)) == (301, 300, 301)
    state.forget(300)
    assert (state.holder(5), state.holder(6)) == (301, None)
    state.forget(301)
    assert (state.holder(5), state.port_ids()) == (None, [])


def test_what_was_asked_for_is_read_back(state):
    asked = replace(PAIR, mode=Mode.DISCOVER)
    state.put(asked)
    assert (state.get(300), state.port_ids()) == (asked, [300])
    state.forget(300)
    assert (state.get(300), state.port_ids()) == (None, [])


def test_every_field_outlives_the_agent(state):
    asked = replace(
        PAIR,
        host_mac=packets.gateway_mac,
        mode=Mode.QUARANTINE,
        fail=Fail.OPEN,
        pass_other=True,
        any_source=True,
        xdp=True,
        serves=(Service.DHCP, Service.ROUTER),
        spare=(f"{packets.pod_two_ip6}/64",),
        segment=7,
        owner=299,
    )
    state.put(asked)
    assert U32State(Instance("one")).get(300) == asked


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"pair": {}}', '{"pair": {"mode": "loud"}}']
)
def test_a_file_of_another_version_is_held_but_says_nothing(state, tmp_path, text):
    state.put(PAIR)
    (tmp_path / "u32" / "300.json").write_text(text)
    assert state.get(300) is None
    assert state.holder(5) is None
    assert state.holds(300)
    assert state.port_ids() == [300]
    state.forget(300)
    assert not state.holds(300)


def test_a_file_without_what_came_later_is_read(state, tmp_path):
    state.put(PAIR)
    path = tmp_path / "u32" / "300.json"
    raw = json.loads(path.read_text())
    del raw["pair"]["spare"]
    path.write_text(json.dumps(raw))
    assert state.get(300) == PAIR


def test_an_end_that_leads_nowhere_is_nobodys(state, tmp_path):
    state.put(PAIR)
    (tmp_path / "u32" / "7.end").write_text("300")
    (tmp_path / "u32" / "8.end").write_text("x")
    assert [state.holder(end) for end in (5, 6, 7, 8, 9)] == [
        300,
        300,
        None,
        None,
        None,
    ]


def test_what_the_disk_refuses_is_an_error_and_leaves_what_was_there(
    state, monkeypatch, tmp_path
):
    state.put(PAIR)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(
        SegctlError, match=r"remembering port 300: .*No space"
    ) as raised:
        state.put(replace(PAIR, mode=Mode.MONITOR))
    assert raised.value.errno == 28
    assert state.get(300) == PAIR
    assert state.port_ids() == [300], "a half-written file is no port"


def test_the_directory_goes_with_the_last_port(state, tmp_path):
    state.put(PAIR)
    assert (tmp_path / "u32").stat().st_mode & 0o077 == 0
    state.put(replace(PAIR, port_id=301, vex_ifindex=7, vin_ifindex=8))
    state.forget(300)
    assert state.port_ids() == [301]
    state.forget(301)
    assert not (tmp_path / "u32").exists()
    state.forget(301)
    assert state.port_ids() == []

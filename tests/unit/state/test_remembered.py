"""What outlives a reboot: who is attached again, how, and in which mode."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    FollowAddresses,
    Mode,
    ProcessRef,
    Service,
    Workload,
)
from pyctl.runtime.base import Container
from pyctl.state.remembered import Memory, merged, places
from pyctl.state.requests import AttachRequest

DB = Container(
    "ab" * 32, "db", 10, "docker", {"app": "db"}, "db:1", place="unix:///d.sock"
)
WORKLOAD = Workload(
    id=DB.short_id,
    name="db",
    process=ProcessRef(10, 99, (4, 4026532000)),
    labels={"app": "db", "tier": "1"},
    runtime="docker",
    forced_mode=Mode.QUARANTINE,
    mode_before=Mode.PROTECT,
)
ORDER = AttachRequest(
    container="db",
    interfaces=("eth0",),
    labels={"tier": "1"},
    datapath=DatapathKind.U32,
    serves=(Service.DHCP,),
    addresses=("192.0.2.9/24",),
    follow=FollowAddresses.FREE,
    fail=Fail.OPEN,
)


@pytest.fixture
def instance(tmp_path, monkeypatch) -> Instance:
    monkeypatch.setattr(Instance, "state_dir", tmp_path)
    return Instance("segt-memory")


@pytest.fixture
def memory(instance) -> Memory:
    return Memory(instance)


def test_what_was_said_of_a_container_is_read_back(memory, instance):
    memory.keep(DB, ORDER, WORKLOAD)
    again = Memory(instance)
    assert again.load() == []
    found = again.of(DB)
    assert found == memory.of(DB)
    assert found.order == replace(ORDER, container=None, automatic=True, force=True)
    assert found.order.datapath is DatapathKind.U32
    assert found.workload == replace(WORKLOAD, forced_mode=None, mode_before=None)
    assert places(again.all()) == {"unix:///d.sock"}


def test_it_is_known_by_its_name_and_its_id_to_its_own_runtime(memory):
    memory.keep(DB, ORDER, WORKLOAD)
    assert memory.of(replace(DB, id="cd" * 32)) == memory.of(DB)
    renamed = memory.of(replace(DB, name="db-old"))
    assert (renamed.container, renamed.order) == ("db-old", memory.of(DB).order)
    assert memory.of(replace(DB, place="unix:///other.sock")) is None


def test_it_is_lost_while_it_is_not_attached_and_forgotten_when_it_is_detached(
    memory, instance
):
    memory.keep(DB, ORDER, WORKLOAD)
    assert memory.lost({WORKLOAD.id}) == []
    assert [one.workload.name for one in memory.lost({})] == ["db"]
    memory.forget_workload(WORKLOAD)
    assert memory.lost({}) == []
    again = Memory(instance)
    again.load()
    assert again.all() == []


def test_a_later_order_adds_to_the_former_one(memory):
    memory.keep(DB, ORDER, WORKLOAD)
    memory.keep(DB, AttachRequest(labels={"a": "b"}, any_source=False), WORKLOAD)
    found = memory.of(DB).order
    assert found.labels == {"tier": "1", "a": "b"}
    assert found.any_source is False
    assert found.fail is Fail.OPEN
    both = merged(
        ORDER, AttachRequest(fail=Fail.CLOSED, serves=(), interfaces=("eth1",))
    )
    assert (both.fail, both.serves) == (Fail.CLOSED, ())
    assert both.interfaces == ("eth0", "eth1")
    assert merged(ORDER, AttachRequest()).interfaces == (), "all of them"


def test_a_file_that_is_none_is_told_and_left(memory, tmp_path):
    (tmp_path / "containers" / "x.json").write_text('{"container": "db"}')
    assert "x.json is not a container" in memory.load()[0]
    assert memory.all() == []


def test_a_forced_mode_is_kept_for_the_container_and_for_its_name(memory):
    plain = replace(WORKLOAD, forced_mode=None, mode_before=None)
    assert memory.with_mode(plain) == plain
    memory.keep_mode(WORKLOAD)
    assert memory.with_mode(plain) == WORKLOAD
    assert memory.with_mode(replace(plain, name="renamed")).forced_mode
    anew = memory.with_mode(replace(plain, id="another"))
    assert anew.forced_mode is Mode.QUARANTINE
    assert memory.with_mode(replace(plain, id="x", name="y")).forced_mode is None
    memory.keep_mode(plain)
    assert memory.with_mode(plain) == plain


def test_the_number_of_a_process_says_nothing_of_the_next_one(memory):
    process = replace(WORKLOAD, id="pid-10", name="pid-10", runtime="process")
    memory.keep_mode(process)
    assert memory.with_mode(replace(process, forced_mode=None)).forced_mode is None
    memory.keep_mode(replace(process, name="db"))
    named = replace(process, id="pid-11", name="db", forced_mode=None)
    assert memory.with_mode(named).forced_mode is Mode.QUARANTINE


def test_of_many_modes_the_newest_are_kept(memory, monkeypatch):
    monkeypatch.setattr("pyctl.state.remembered.MODES_KEPT", 2)
    for one in ("a", "b", "a", "c"):
        memory.keep_mode(replace(WORKLOAD, id=one, name=one))
    kept = [
        one
        for one in "abc"
        if memory.with_mode(
            replace(WORKLOAD, id=one, name=one, forced_mode=None)
        ).forced_mode
    ]
    assert kept == ["a", "c"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"name:db": 1}', '{"name:db": ["x", null]}']
)
def test_modes_that_cannot_be_read_are_none(memory, tmp_path, text):
    (tmp_path / "modes.json").write_text(text)
    assert memory.with_mode(replace(WORKLOAD, forced_mode=None)).forced_mode is None


def test_modes_that_cannot_be_read_for_a_moment_are_not_taken_for_none(
    memory, monkeypatch
):
    """Of a process without a free descriptor: each quarantine but the newest would be forgotten."""

    def no_descriptor(_path: object) -> str:
        raise OSError(errno.EMFILE, "too many open files")

    plain = replace(WORKLOAD, forced_mode=None)
    memory.keep_mode(WORKLOAD)
    with monkeypatch.context() as process:
        process.setattr("pyctl.state.remembered.read_any", no_descriptor)
        for ask in (memory.keep_mode, memory.with_mode):
            with pytest.raises(SegctlError, match="too many open files"):
                ask(replace(plain, id="other", name="other", forced_mode=Mode.MONITOR))
    assert memory.with_mode(plain).forced_mode is Mode.QUARANTINE

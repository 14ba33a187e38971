"""What the agent remembers is read back as it was, and half a file is no file."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError, UsageError
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    Mode,
    Offload,
    Port,
    ProcessRef,
    Workload,
)
from pyctl.state.registry import Registry
from pyctl.state.store import Store, from_json, to_json, write_atomically
from tests import packets

PORT = Port(
    port_id=300,
    interface="eth0",
    kind="veth",
    vex="vex1092-eth0",
    vin="vin1092-eth0",
    vex_ifindex=7,
    vin_ifindex=8,
    mac=packets.pod_one_mac,
    host_mac=None,
    mtu=1500,
    addresses=(f"{packets.pod_one_ip4}/24", f"{packets.pod_one_ip6}/64"),
)
WEB = Workload(
    id="0123456789ab",
    name="web",
    process=ProcessRef(4242, 99, (4, 4026532000)),
    labels={"app": "web"},
    forced_mode=Mode.QUARANTINE,
    mode_before=Mode.PROTECT,
    ports=(PORT,),
)


class _Here(Instance):
    """An instance whose directories are a test's own."""


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    for name in ("run_dir", "state_dir"):
        monkeypatch.setattr(_Here, name, tmp_path / name)
    monkeypatch.setattr(_Here, "journal_dir", tmp_path / "run_dir" / "journal")
    monkeypatch.setattr(_Here, "workload_dir", tmp_path / "run_dir" / "workloads")
    return Store(_Here("segt-store"))


def test_a_workload_of_a_former_version_is_read_by_its_former_names():
    known = replace(WEB, all_interfaces=True)
    former = to_json(known).replace('"all_interfaces"', '"whole"')
    assert "all_interfaces" not in former
    assert from_json(former) == known


def test_a_workload_survives_the_round_trip():
    assert from_json(to_json(WEB)) == WEB
    bare = replace(WEB, forced_mode=None, ports=(), labels={}, offload=Offload.OFF)
    assert from_json(to_json(bare)) == bare


def test_files_of_another_kind_are_warned_of_and_left(store, tmp_path):
    store.save(WEB)
    stranger = tmp_path / "run_dir" / "workloads" / "broken.json"
    stranger.write_text("{")
    workloads, warnings = store.load()
    assert workloads == [WEB]
    assert len(warnings) == 1
    assert stranger.exists()


def test_state_is_readable_by_root_alone(store, tmp_path):
    store.save(WEB)
    (file,) = (tmp_path / "run_dir" / "workloads").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_policy_and_port_id_are_remembered(store):
    assert store.policy() == ("", None)
    store.save_policy("# mine\n")
    assert store.policy()[0] == "# mine\n"
    store.save_port_id(17)
    assert store.last_port_id() == 17


def test_a_workload_is_found_by_all_its_names(store):
    registry = Registry(store)
    registry.put(WEB)
    for ref in ("web", WEB.id, "4242", "01234", WEB.id + "cdef" * 13):
        assert registry.find(ref) == WEB
    assert registry.by_port(300) == WEB
    with pytest.raises(NotFoundError):
        registry.find("db")


def test_an_ambiguous_head_of_an_id_is_refused(store):
    registry = Registry(store)
    registry.put(WEB)
    registry.put(replace(WEB, id="0123456789ff", name="other"))
    with pytest.raises(UsageError, match="0123456789ff"):
        registry.find("01234567")


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
    """Else each kill would leave a file, for ever."""
    file = tmp_path / "policy.yaml"
    write_atomically(file, "old")
    with pytest.raises(TypeError):
        write_atomically(file, b"no text")
    assert len(list(tmp_path.iterdir())) == 2
    assert file.read_text() == "old"
    write_atomically(file, "new")
    assert [one.name for one in tmp_path.iterdir()] == ["policy.yaml"]
    assert file.read_text() == "new"


def test_a_full_disk_is_told_with_the_files_name_and_the_old_file_stays(
    tmp_path, monkeypatch
):
    file = tmp_path / "file"
    write_atomically(file, "old")

    def refuse(_fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=f"No space left on device: '{file}'"):
        write_atomically(file, "new")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]

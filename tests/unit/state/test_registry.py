"""The list of workloads: on disk first, whole for its readers, and each found by what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.errors import NotFoundError, SegctlError, UsageError
from pyctl.model.instance import Instance
from pyctl.model.workload import Capabilities, ProcessRef, Workload
from pyctl.state.registry import Registry
from pyctl.state.store import Store
from tests.unit.policy.makers import port, workload


def contained(name: str, identity: str, pid: int, *ports):
    return replace(
        workload(name, *ports), id=identity, process=ProcessRef(pid, 1, (4, pid))
    )


WEB = contained("web", "aaaa11112222", 10, port(1, "192.0.2.1/24"))
DB = contained("db", "aaaa33334444", 11, port(2))


def able(load: Workload) -> Workload:
    """What is not stored comes back from who knows it."""
    assert load.capabilities == Capabilities()
    return replace(load, capabilities=WEB.capabilities)


class Disk(Store):
    """A disk that a test may take away."""

    refuses = False

    def save(self, load) -> None:
        if self.refuses:
            raise SegctlError("the disk is full")
        super().save(load)

    def forget(self, identity) -> None:
        if self.refuses:
            raise SegctlError("the disk is read-only")
        super().forget(identity)


@pytest.fixture
def disk(tmp_path, monkeypatch) -> Disk:
    monkeypatch.setattr(Instance, "run_dir", tmp_path / "run")
    monkeypatch.setattr(Instance, "state_dir", tmp_path / "state")
    return Disk(Instance("segt-registry"))


@pytest.fixture
def registry(disk) -> Registry:
    made = Registry(disk)
    made.put(WEB)
    made.put(DB)
    return made


def test_the_next_agent_reads_what_this_one_put(registry, disk):
    registry.drop(DB.id)
    after = Registry(disk)
    assert after.load(able) == []
    assert after.by_id == {WEB.id: WEB}


def test_a_file_that_is_none_is_told_and_the_others_are_loaded(
    registry, disk, tmp_path
):
    (tmp_path / "run" / "workloads" / "odd.json").write_text("{}")
    (warning,) = registry.load(able)
    assert "odd.json" in warning
    assert registry.all() == [DB, WEB]


def test_what_the_disk_refuses_is_not_in_the_list(registry, disk):
    disk.refuses = True
    for change in (
        lambda: registry.put(replace(WEB, name="new")),
        lambda: registry.put(replace(WEB, id="bbbb55556666")),
        lambda: registry.drop(WEB.id),
    ):
        with pytest.raises(SegctlError):
            change()
    assert registry.by_id == {WEB.id: WEB, DB.id: DB}


def test_what_a_reader_holds_never_changes(registry):
    held, listed = registry.by_id, registry.all()
    assert registry.by_id is held
    listed.clear()
    renamed = replace(WEB, name="a-web")
    registry.put(renamed)
    registry.drop(DB.id)
    assert held == {WEB.id: WEB, DB.id: DB}
    assert registry.by_id == {WEB.id: renamed}
    assert registry.get(DB.id) is None


def test_they_are_listed_by_name_whatever_came_first(registry):
    assert [one.name for one in registry.all()] == ["db", "web"]
    registry.put(replace(WEB, name="a-web"))
    assert [one.name for one in registry.all()] == ["a-web", "db"]


def test_forgetting_twice_is_no_error(registry):
    registry.drop(WEB.id)
    registry.drop(WEB.id)
    assert registry.all() == [DB]


def test_a_port_leads_to_its_workload_and_its_name_stays_known(registry):
    assert registry.by_port(2) == DB
    assert registry.by_port(9) is None
    registry.drop(WEB.id)
    assert registry.by_port(1) is None
    assert registry.names.of_port(1) == "web"


def test_a_port_that_goes_on_elsewhere_leads_there(registry, disk):
    """Whoever goes first: its former workload, or what is known of it."""
    registry.put(replace(WEB, ports=()))
    assert registry.by_port(1) is None
    heir = replace(WEB, id="aaaa55556666")
    registry.put(heir)
    assert registry.by_port(1) == heir
    registry.put(replace(heir, id="aaaa77778888"))
    registry.drop(heir.id)
    assert registry.by_port(1).id == "aaaa77778888"
    after = Registry(disk)
    after.load(able)
    assert after.by_port(1) == registry.by_port(1)


@pytest.mark.parametrize(
    "reference", [WEB.id, "web", "10", "aaaa1", WEB.id + "f" * 52], ids=str
)
def test_one_is_found_by_id_name_pid_and_part_of_its_id(registry, reference):
    assert registry.find(reference) == WEB


@pytest.mark.parametrize("reference", ["", "aaa", "we", "12", "cccc"])
def test_what_is_too_short_or_nobody_s_finds_none(registry, reference):
    with pytest.raises(NotFoundError):
        registry.find(reference)


def test_what_several_are_called_is_refused_with_their_ids(registry):
    registry.put(replace(DB, name="web"))
    for reference in ("web", "aaaa"):
        with pytest.raises(UsageError, match=f"{WEB.id}.*{DB.id}|{DB.id}.*{WEB.id}"):
            registry.find(reference)
    assert registry.find(WEB.id) == WEB


def test_an_id_goes_before_a_name_and_a_name_before_a_pid(registry):
    registry.put(replace(DB, name="10"))
    assert registry.find("10").id == DB.id
    registry.put(replace(DB, name=WEB.id))
    assert registry.find(WEB.id) == WEB

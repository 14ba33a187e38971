"""The journal: whole or absent, locked while in use, readable after a crash."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pyctl.errors import RefusedError
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.intercept.steps import journal
from pyctl.model.workload import ProcessRef

PROCESS = ProcessRef(1234, 99, (4, 4026532000))


@pytest.fixture
def record(snapshot: Snapshot) -> journal.Record:
    return journal.Record("attach", PROCESS, 42, "vex", "vin", "mark", snapshot)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal.journal_path(tmp_path / "journal", PROCESS, 2)


def killed_while_writing(path: Path, record: journal.Record, *steps: str) -> None:
    child = os.fork()
    if child == 0:
        with journal.created(path, record) as book:
            for step in steps:
                book.begin(step)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_record_and_its_steps_come_back_after_a_kill(
    path: Path, record: journal.Record
) -> None:
    killed_while_writing(path, record, "park", "move")
    assert journal.pending(path.parent) == [path]
    with journal.taken(path) as found:
        assert found is not None
        book, read = found
        assert read is not None
        assert read.begun == ("park", "move")
        assert read.snapshot == record.snapshot
        book.remove()
    assert journal.pending(path.parent) == []


def test_an_older_agent_s_journal_has_the_same_keys(record: journal.Record) -> None:
    """In their order: what was killed before an upgrade is put right after it."""
    data = record.to_json()
    assert list(data) == [
        *("version", "action", "process", "cookie", "vex", "vin", "mark", "snapshot")
    ]
    assert list(data["process"]) == ["pid", "start_time", "netns", "cookie"]
    assert data["snapshot"] == record.snapshot.to_json()
    assert journal.record_from_json(data, ()) == record


def test_a_journal_in_use_cannot_be_taken(path: Path, record: journal.Record) -> None:
    with journal.created(path, record), journal.taken(path) as found:
        assert found is None


def test_one_interface_has_one_journal(path: Path, record: journal.Record) -> None:
    with (
        journal.created(path, record),
        pytest.raises(RefusedError, match="under way"),
        journal.created(path, record),
    ):
        pass
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_line_torn_by_a_crash_is_no_step(path: Path, record: journal.Record) -> None:
    killed_while_writing(path, record, "park")
    with path.open("ab") as file:
        file.write(b"mov")
    with journal.taken(path) as found:
        assert found is not None
        assert found[1] is not None
        assert found[1].begun == ("park",)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]\n", '"text"\n', '{"version": 1}\n', '{"version": 9}\n'),
        "\udcff\n\udcff\n",
        '{"version": 1, "action": 1, "vex": [], "vin": {}, "mark": null}\n',
    ],
)
def test_what_is_no_journal_is_taken_but_says_nothing(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with journal.taken(path) as found:
        assert found is not None
        assert found[1] is None


def test_a_missing_journal_is_nobodys(path: Path) -> None:
    with journal.taken(path) as found:
        assert found is None
    assert journal.pending(path.parent) == []


def test_the_ports_of_unfinished_splices_are_known(
    path: Path, record: journal.Record
) -> None:
    assert journal.port_names(path.parent) == frozenset()
    killed_while_writing(path, record, "park")
    path.with_name("1-1.journal").write_text("{")
    assert journal.port_names(path.parent) == {"vex", "vin"}

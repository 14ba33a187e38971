"""A log that is too long goes on at its start, under the hands of whoever writes it."""

from __future__ import annotations

import os
import stat

import pytest

from pyctl.telemetry.log_files import LogFiles, appends_to
from tests.unit.fake_agent import instance_in


@pytest.fixture
def instance(tmp_path):
    made = instance_in(tmp_path)
    made.run_dir.mkdir(exist_ok=True)
    return made


def test_a_full_file_is_moved_aside_and_its_writer_goes_on(instance):
    path = instance.run_dir / "engine.log"
    files = LogFiles(instance, most_bytes=100)
    files.keep_small()
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * 101)
        files.keep_small()
        writer.write(b"after")
    files.keep_small()
    former = path.with_name("engine.log.1")
    assert path.read_bytes() == b"after"
    assert former.read_bytes() == b"x" * 101
    assert stat.S_IMODE(former.stat().st_mode) == 0o600


def test_a_former_file_that_others_could_read_is_not_written_into(instance):
    """Whoever has it open reads nothing of what comes."""
    path = instance.run_dir / "engine.log"
    former = path.with_name("engine.log.1")
    former.touch(0o644)
    path.write_bytes(b"x" * 101)
    with former.open("rb") as reader:
        LogFiles(instance, most_bytes=100).keep_small()
        assert reader.read() == b""
    assert former.read_bytes() == b"x" * 101
    assert stat.S_IMODE(former.stat().st_mode) == 0o600


def test_a_file_is_cut_also_where_it_cannot_be_copied(instance):
    path = instance.run_dir / "engine.log"
    path.write_bytes(b"x" * 101)
    path.with_name("engine.log.1").mkdir()
    LogFiles(instance, most_bytes=100).keep_small()
    assert path.stat().st_size == 0


def test_only_a_file_that_is_added_to_is_ours_to_cut(tmp_path):
    path = tmp_path / "log"
    for mode, ours in (("ab", True), ("wb", False)):
        with path.open(mode) as writer:
            assert appends_to(path, descriptor=writer.fileno()) is ours
    with (tmp_path / "other").open("ab") as writer:
        assert not appends_to(path, descriptor=writer.fileno())
    read, write = os.pipe()
    assert not appends_to(path, descriptor=write)
    os.close(read)
    os.close(write)
    assert not appends_to(tmp_path / "none", descriptor=2)

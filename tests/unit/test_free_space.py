"""What counts as full."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from pyctl.free_space import LITTLE, is_full


@pytest.mark.parametrize(
    ("blocks", "files", "left", "full"),
    [
        (LITTLE, 100, 1, False),
        (LITTLE // 2, 100, 1, True),
        (LITTLE, 100, 0, True),
        (LITTLE, 0, 0, False),
    ],
    ids=["room", "few bytes", "no inode", "inodes as wanted"],
)
def test_bytes_and_inodes_count(monkeypatch, tmp_path, blocks, files, left, full):
    told = SimpleNamespace(f_bavail=blocks, f_frsize=1, f_files=files, f_favail=left)
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    assert is_full(tmp_path) is full


def test_what_is_not_there_is_not_full(tmp_path):
    assert not is_full(tmp_path / "gone")

"""Namespaces as far as they can be told apart without privilege."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform import netns


def test_a_namespace_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError), netns.opened(tmp_path / "none"):
        pass


def test_identity_is_device_and_inode() -> None:
    with netns.opened("/proc/self/ns/net") as fd:
        found = Path("/proc/self/ns/net").stat()
        assert netns.identity(fd) == (found.st_dev, found.st_ino)


def test_a_plain_file_is_not_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not netns.bound(path)
    path.touch()
    assert not netns.bound(path)


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        netns.remove(tmp_path / "none")


def test_named_namespaces_are_listed_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netns, "NAMED_DIRS", (tmp_path, tmp_path / "none"))
    for name in ("b", "a"):
        (tmp_path / name).touch()
    assert [path.name for path in netns.named()] == ["a", "b"]


def test_what_cannot_be_opened_may_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(SegctlError, match="too many open files") as caught:
        netns.open_netns("/proc/self/ns/net")
    assert not isinstance(caught.value, NotFoundError)


def test_a_bind_mount_is_read_from_mountinfo() -> None:
    line = "99 1 0:4 net:[77] /run/my\\040net rw shared:1 - nsfs nsfs rw"
    assert netns._bound(line, 77, "") == Path("/run/my net")
    assert netns._bound(line, 77, "/proc/1/root") == Path("/proc/1/root/run/my net")
    assert netns._bound(line, 7, "") is None
    assert netns._bound("", 77, "") is None

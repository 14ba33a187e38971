"""Where the bpf file system is mounted is read from mountinfo; what refuses a mount says what is missing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pyctl.errors import NotCapableError, NotPermittedError
from pyctl.platform.bpf import fs

BPF = b"29 24 0:26 / /sys/fs/bpf rw,nosuid - bpf bpf rw,mode=700\n"
OTHERS = b"".join(
    (
        b"24 1 0:22 / /sys rw - sysfs sysfs rw\n",
        b"30 24 0:27 / /sys/fs/bpf rw - tmpfs tmpfs rw\n",
        b"31 24 0:28 / /mnt/bpf rw - bpf bpf rw\n",
        # A mount point's name may hold what ends a line of text, and be no UTF-8.
        b"32 24 0:29 / /tmp/a\x0b29 24 0:26 / /sys/fs/bpf\xff rw - bpf bpf rw\n",
    )
)


class Libc:
    """mount(2), which does or refuses."""

    def __init__(self, result: int) -> None:
        self.result = result
        self.mounted: list[tuple[bytes, bytes, bytes]] = []

    def mount(
        self, what: bytes, where: bytes, kind: bytes, _flags: object, _options: bytes
    ) -> int:
        self.mounted.append((what, where, kind))
        return self.result


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Libc:
    made = Libc(0)
    monkeypatch.setattr(fs.ctypes, "CDLL", lambda *_, **__: made)
    return made


def mounts(monkeypatch: pytest.MonkeyPatch, told: bytes) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: told)


@pytest.mark.parametrize(
    ("told", "mounted"), [(OTHERS + BPF, True), (OTHERS, False), (b"", False)]
)
def test_a_mount_counts_if_it_is_of_that_kind_and_there(
    monkeypatch: pytest.MonkeyPatch, told: bytes, mounted: bool
) -> None:
    mounts(monkeypatch, told)
    assert fs.is_mounted() is mounted


def test_it_is_mounted_only_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, libc: Libc
) -> None:
    mounts(monkeypatch, BPF)
    fs.ensure_mounted()
    assert libc.mounted == []
    mounts(monkeypatch, OTHERS)
    fs.ensure_mounted()
    assert libc.mounted == [(b"bpf", b"/sys/fs/bpf", b"bpf")]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EPERM, NotPermittedError),
        (errno.EACCES, NotPermittedError),
        (errno.ENODEV, NotCapableError),
    ],
)
def test_a_refused_mount_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, libc: Libc, number: int, kind: type[Exception]
) -> None:
    mounts(monkeypatch, OTHERS)
    libc.result = -1
    monkeypatch.setattr(fs.ctypes, "get_errno", lambda: number)
    with pytest.raises(kind) as caught:
        fs.ensure_mounted()
    assert getattr(caught.value, "errno", None) == number

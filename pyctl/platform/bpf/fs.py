"""The bpf file system, where pins live. I/O: mount(2), /proc/self/mountinfo."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from pyctl.errors import NotCapableError, NotPermittedError

BPFFS = Path("/sys/fs/bpf")
_BPFFS_BYTES = bytes(BPFFS)


def is_mounted() -> bool:
    """Return whether a bpf file system is mounted at /sys/fs/bpf in this mount namespace."""
    # A mount point may have any bytes in its name, and any character that ends a line of text elsewhere.
    for line in Path("/proc/self/mountinfo").read_bytes().split(b"\n"):
        left, _, right = line.partition(b" - ")
        if left.split(b" ")[4:5] == [_BPFFS_BYTES] and right.startswith(b"bpf "):
            return True
    return False


def ensure_mounted() -> None:
    """Mount the bpf file system if needed; NotPermittedError or NotCapableError if that is refused."""
    if is_mounted():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # MS_NOSUID | MS_NODEV | MS_NOEXEC, as systemd mounts it.
    if libc.mount(
        b"bpf", str(BPFFS).encode(), b"bpf", ctypes.c_ulong(0xE), b"mode=700"
    ):
        error = ctypes.get_errno()
        tried = f"mounting the bpf file system at {BPFFS}: {os.strerror(error)}"
        if error in (errno.EPERM, errno.EACCES):
            raise NotPermittedError(tried, advice="run as root", errno=error)
        raise NotCapableError(
            tried, advice="the kernel needs CONFIG_BPF_SYSCALL and sysfs", errno=error
        )

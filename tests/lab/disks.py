"""Places where nothing can be written, or not for long.

Depends on: root.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.lab.processes import must


@contextlib.contextmanager
def small(directory: Path, size: str) -> Iterator[None]:
    """A file system of this size (tmpfs(5)) is mounted there meanwhile."""
    directory.mkdir(parents=True, exist_ok=True)
    must("mount", "-t", "tmpfs", "-o", f"size={size}", "small", directory)
    with _mounted(directory):
        yield


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing can be written there meanwhile."""
    must("mount", "--bind", directory, directory)
    with _mounted(directory):
        must("mount", "-o", "remount,bind,ro", directory)
        yield


@contextlib.contextmanager
def _mounted(directory: Path) -> Iterator[None]:
    try:
        yield
    finally:
        must("umount", "-l", directory)

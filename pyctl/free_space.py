"""Whether a file system has room left.

In: a path. Out: yes or no. I/O: statvfs.
"""

from __future__ import annotations

import os
from pathlib import Path

LITTLE = 64 * 1024
"""Bytes; less counts as none: a database and a log grow by that."""


def is_full(path: Path) -> bool:
    """Return whether the file system of the path has no room for a small file; False where unknown."""
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    left = found.f_bavail * found.f_frsize
    return left < LITTLE or (found.f_files > 0 and found.f_favail == 0)

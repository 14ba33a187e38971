"""The files in which agent and engine log: neither grows beyond a bound.

In: paths. Out: files cut, for root's eyes alone: they tell whose packets were denied. I/O: the instance's run directory, which is in memory on most hosts.
The writers open them to append and keep them open, the engine beyond the agent's life; so a full file is copied
beside itself and emptied, and whoever writes goes on at its start. Where the log goes elsewhere, to the journal
or where an administrator sent it, its bound is theirs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pyctl.model.instance import Instance

MOST_BYTES = 4 << 20
"""The most bytes of a log file, and of the copy of its former content."""


class LogFiles:
    """The log files that are kept small; `keep_small` is cheap, one stat for each file."""

    def __init__(self, instance: Instance, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._engines = instance.run_dir
        self._paths: Sequence[Path] = ()
        if appends_to(instance.log_file, descriptor=2):
            self._paths = [instance.log_file]

    def keep_small(self) -> None:
        """Move aside the content of each file that is too long."""
        for path in (*self._paths, *self._engines.glob("engine*.log")):
            with contextlib.suppress(OSError):
                if path.stat().st_size > self._most:
                    _empty(path)


def appends_to(path: Path, *, descriptor: int) -> bool:
    """Return whether the descriptor appends to this file, wherever its end is."""
    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        here, there = os.fstat(descriptor), path.stat()
    except OSError:
        return False
    return bool(flags & os.O_APPEND) and os.path.samestat(here, there)


def _empty(path: Path) -> None:
    """Copy the file aside, then truncate it. Lines written in between are lost; without room, all are."""
    former = path.with_name(path.name + ".1")
    with contextlib.suppress(OSError):
        # Never readable by others, not even while it is written.
        former.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with (
            path.open("rb") as source,
            os.fdopen(os.open(former, flags, 0o600), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy)
    os.truncate(path, 0)

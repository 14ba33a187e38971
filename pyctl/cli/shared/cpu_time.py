"""The processor time of a process and all that it started.

In: a pid. Out: seconds. I/O: /proc.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the processor time that the process, its children and theirs have used, those that ended and were
    waited for included; 0 for a process that is gone.
    """
    process = Path(f"/proc/{pid}")
    children: list[int] = []
    try:
        # The name in parentheses may hold anything, so count from its end.
        ticks = (process / "stat").read_bytes().rpartition(b")")[2].split()[11:15]
        for thread in (process / "task").iterdir():
            with contextlib.suppress(OSError):
                children += map(int, (thread / "children").read_bytes().split())
    except OSError:
        return 0.0
    own = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(cpu_seconds, children))

"""Whether a process may change networks that are not its own: the kernel asks for CAP_NET_ADMIN in the user
namespace that a network namespace was made in, and names every one that a link of the process leads to.

In: pids. Out: a bool. I/O: /proc.
"""

from __future__ import annotations

import os
from pathlib import Path

CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21


def rules_networks(pid: int) -> bool:
    """Return whether the process holds CAP_NET_ADMIN in our user namespace and is no root process of the host
    (our pid namespace and CAP_SYS_ADMIN), which may do anything anyway. False if it has ended.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(
            encoding="utf-8", errors="replace"
        )
        if not _shared(pid, "user"):
            return False
        held = capabilities(status)
        host = bool(held >> CAP_SYS_ADMIN & 1) and _shared(pid, "pid")
    except OSError:
        return False
    return bool(held >> CAP_NET_ADMIN & 1) and not host


def capabilities(status: str) -> int:
    """Return the capabilities that a process can use, from its /proc/PID/status: the effective ones and, for
    root, the bounding set, which the next program that it starts gets again.
    """
    found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    root = found.get("Uid", "").split()[1:2] == ["0"]
    return int(found.get("CapEff", "0"), 16) | (
        int(found.get("CapBnd", "0"), 16) if root else 0
    )


def _shared(pid: int, kind: str) -> bool:
    theirs, ours = (os.stat(f"/proc/{one}/ns/{kind}") for one in (pid, "self"))  # noqa: PTH116  a descriptor's file
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)

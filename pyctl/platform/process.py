"""Processes: which one exactly, is it still there, and its network namespace.

In: pids. Out: model.ProcessRef, descriptors. I/O: /proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from pyctl.errors import NotFoundError, NotPermittedError
from pyctl.model.workload import ProcessRef
from pyctl.platform import netns
from pyctl.platform.ready import readable


def _start_time(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  one read, no path object
        # The name in parentheses may hold anything, so count from its end.
        return int(file.read().rpartition(b")")[2].split()[19])


def process_ref(pid: int) -> ProcessRef:
    """The process with that pid now.

    Raises NotFoundError (no such process, or it is ending), NotPermittedError.
    """
    try:
        start = _start_time(pid)
        found = Path(f"/proc/{pid}/ns/net").stat()
    except PermissionError as error:
        raise NotPermittedError(
            f"the network namespace of process {pid} may not be read",
            advice="root with CAP_SYS_PTRACE may read it",
            errno=error.errno,
        ) from error
    except OSError as error:
        raise NotFoundError(
            f"there is no process {pid}",
            state="nothing was changed",
            advice="give the pid of a running process",
            errno=error.errno,
        ) from error
    return ProcessRef(pid, start, (found.st_dev, found.st_ino))


def process_alive(ref: ProcessRef) -> bool:
    """That very process runs still, in the same network namespace."""
    try:
        return process_ref(ref.pid) == ref
    except NotFoundError:
        return False


@contextlib.contextmanager
def netns_of(ref: ProcessRef) -> Iterator[int]:
    """A descriptor of its network namespace.

    Raises NotFoundError where the process ended, or its pid is another's by now.
    """
    with netns.opened(f"/proc/{ref.pid}/ns/net") as fd:
        if netns.identity(fd) != ref.netns or not process_alive(ref):
            raise NotFoundError(
                f"process {ref.pid} is not the one that was asked for any more",
                state="nothing was changed",
            )
        yield fd


class Running:
    """One process held by its pidfd: never another that has its pid by now.

    NotFoundError where there is none of that pid.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError as error:
            raise NotFoundError(
                f"there is no process {pid}", errno=error.errno
            ) from error

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, or does within so many seconds."""
        return self._fd < 0 or readable(self._fd, seconds)

    def kill(self) -> None:
        """SIGKILL; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def close(self) -> None:
        """Let go; one that ended is reaped, where it was a child of ours."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        fd, self._fd = self._fd, -1
        os.close(fd)

"""Processes: which one exactly, is it still there, and its network namespace.

In: pids. Out: model.ProcessRef, descriptors. I/O: /proc.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

from pyctl.errors import NotFoundError, NotPermittedError, SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.platform import netns
from pyctl.platform.ready import readable

GONE = (errno.ENOENT, errno.ESRCH)
"""The errors of procfs(5) for a process that is gone; any other (no descriptor left, no permission) does not
mean that."""


def _start_time(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  one read, no path object
        # The name in parentheses may hold anything, so count from its end.
        return int(file.read().rpartition(b")")[2].split()[19])


def cpu_seconds(pid: int) -> float:
    """Return the processor time that the process, its children and theirs have used, those that ended and were
    waited for included; 0 for a process that is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  as above
            ticks = file.read().rpartition(b")")[2].split()[11:15]
        threads = [path.removesuffix("/ns/net") for path in _thread_files(pid)]
    except OSError:
        return 0.0
    children: list[int] = []
    for thread in threads:
        with contextlib.suppress(OSError), open(f"{thread}/children", "rb") as file:  # noqa: PTH123
            children += map(int, file.read().split())
    own = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(cpu_seconds, children))


def netns_file(
    pid: int, wanted: tuple[int, int] | None = None
) -> tuple[str, tuple[int, int]]:
    """Return a file that opens a network namespace of the process, and its identity. It is the first
    thread's; or another thread's, if the first has ended (its file is then unreadable) or lives in another
    namespace than `wanted`. Raises OSError.
    """
    for path in itertools.chain((f"/proc/{pid}/ns/net",), _thread_files(pid)):
        try:
            found = os.stat(path)  # noqa: PTH116  no path object, a thousand times
        except OSError as error:
            if error.errno not in GONE:
                raise
            continue
        if wanted in (None, (found.st_dev, found.st_ino)):
            return path, (found.st_dev, found.st_ino)
    raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), f"/proc/{pid}")


def _thread_files(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/task"
    with os.scandir(folder) as threads:
        yield from (f"{folder}/{thread.name}/ns/net" for thread in threads)


def namespaces(pid: int) -> set[tuple[int, int]]:
    """Return the identities of the network namespaces that the process's threads live in. Raises OSError."""
    found = set()
    for path in _thread_files(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            one = os.stat(path)  # noqa: PTH116  see above
            found.add((one.st_dev, one.st_ino))
    return found


def process_ref(pid: int) -> ProcessRef:
    """Return the process with that pid now. Its first thread may have ended, while another goes on.

    Raises NotFoundError (no such process, or it is ending), NotPermittedError, SegctlError where it
    cannot be told.
    """
    try:
        start = _start_time(pid)
        return ProcessRef(pid, start, netns_file(pid)[1])
    except OSError as error:
        raise _told(pid, error) from error


def _told(pid: int, error: OSError) -> SegctlError:
    if isinstance(error, PermissionError):
        return NotPermittedError(
            f"the network namespace of process {pid} may not be read",
            advice="root with CAP_SYS_PTRACE may read it",
            errno=error.errno,
        )
    if error.errno in GONE:
        return NotFoundError(
            f"there is no process {pid}",
            state="nothing was changed",
            advice="give the pid of a running process",
            errno=error.errno,
        )
    return SegctlError(
        f"process {pid} could not be looked at: {error}",
        state="nothing was changed",
        errno=error.errno,
    )


def process_alive(ref: ProcessRef) -> bool:
    """Return whether a thread of exactly that process still lives in the same network namespace. SegctlError
    if that cannot be told.
    """
    try:
        if _start_time(ref.pid) != ref.start_time:
            return False
        netns_file(ref.pid, ref.netns)
    except OSError as error:
        if error.errno in GONE:
            return False
        raise _told(ref.pid, error) from error
    return True


def with_cookie(ref: ProcessRef) -> ProcessRef:
    """Return the process with the cookie of its network namespace. Raises as `netns_of`."""
    with netns_of(ref) as fd:
        try:
            return replace(ref, cookie=netns.cookie(fd))
        except OSError as error:
            raise _told(ref.pid, error) from error


def shares_netns(living: ProcessRef, former: ProcessRef) -> bool:
    """Return whether a living process is in the network namespace of one that may have ended."""
    try:
        with netns_of(replace(living, netns=former.netns, cookie=former.cookie)):
            return process_alive(living)
    except NotFoundError:
        return False


def netns_path(ref: ProcessRef) -> str:
    """Return a file that opens the namespace: through the process or, if that has ended, where the namespace
    is bound. NotFoundError; SegctlError if it cannot be told.
    """
    try:
        return netns_file(ref.pid, ref.netns)[0]
    except OSError as error:
        gone = error.errno in GONE
        bound = netns.bound_at(ref.netns, ref.cookie) if gone else None
        if bound is None:
            raise _told(ref.pid, error) from error
        return str(bound)


@contextlib.contextmanager
def netns_of(ref: ProcessRef) -> Iterator[int]:
    """Open the namespace for the block, as `netns_path` finds it.

    Raises NotFoundError where it is gone, or the pid is another's by now.
    """
    with netns.opened(netns_path(ref)) as fd:
        try:
            same = netns.is_namespace(fd, ref.netns, ref.cookie)
        except OSError as error:
            raise _told(ref.pid, error) from error
        if not same:
            raise NotFoundError(
                f"process {ref.pid} is not the one that was asked for any more",
                state="nothing was changed",
            )
        yield fd


class Running:
    """A process held by its pidfd: never another one that got the pid. NotFoundError if none."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError as error:
            raise NotFoundError(
                f"there is no process {pid}", errno=error.errno
            ) from error

    def ended(self, seconds: float = 0.0) -> bool:
        """Return whether the process has ended, or ends within so many seconds."""
        return self._fd < 0 or readable(self._fd, seconds)

    def kill(self) -> None:
        """Send SIGKILL; do nothing if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def close(self) -> None:
        """Close the pidfd; reap the process if it has ended and was a child of ours."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        fd, self._fd = self._fd, -1
        os.close(fd)

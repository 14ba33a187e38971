"""Who lives in a network namespace, and where it can be found at all.

In: identities of namespaces. Out: processes, descriptors. I/O: /proc, one pass for any number of namespaces.
A pass reads the namespace of each process's first thread, or of another thread if the first has ended. Only
for a namespace without a hit, it reads all threads of all processes.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from pyctl.errors import NotFoundError, SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.platform import netns
from pyctl.platform.absence import raise_if_blind
from pyctl.platform.process import GONE, namespaces, netns_file, process_ref

NetnsId = tuple[int, int]


@dataclass
class Inhabitants:
    """The result of a pass over /proc."""

    oldest: dict[NetnsId, ProcessRef] = field(default_factory=dict)
    """The oldest process of each namespace that has one."""
    whole: bool = True
    """False: an unreadable process lives in a namespace where no other was seen, so "not found" does not mean
    "nobody there"."""


def inhabitants(wanted: Collection[NetnsId]) -> Inhabitants:
    """Return who lives in these namespaces, without threads of this process. SegctlError if /proc cannot be
    read.
    """
    found = Inhabitants()
    left = set(wanted)
    try:
        for every_thread in (False, True):
            if left:
                _pass(left, found, every_thread=every_thread)
                left -= found.oldest.keys()
    except OSError as error:
        raise SegctlError(
            f"the processes of this host could not be gone through: {error}",
            state="nothing was changed",
            errno=error.errno,
        ) from error
    return found


def _pass(wanted: set[NetnsId], found: Inhabitants, *, every_thread: bool) -> None:
    elsewhere: dict[NetnsId, int] = {}
    unreadable = []
    for pid in _pids():
        try:
            lived_in = namespaces(pid) if every_thread else {netns_file(pid)[1]}
        except PermissionError:
            unreadable.append(pid)
            continue
        except OSError as error:
            if error.errno not in GONE:
                raise
            continue
        elsewhere.update(dict.fromkeys(lived_in, pid))
        for identity in lived_in & wanted:
            _add(found, pid, identity)
    if unreadable:
        known = {_net_files(pid) for pid in (os.getpid(), *elsewhere.values())}
        found.whole = {_net_files(pid) for pid in unreadable} <= known


def _net_files(pid: int) -> int:
    """Return a number that is the same for all processes of one network namespace and readable for any
    process: the inode of a file that procfs makes for each namespace. 0 if the process has ended.
    """
    try:
        return os.stat(f"/proc/{pid}/net/dev").st_ino  # noqa: PTH116  as in process
    except OSError as error:
        if error.errno not in (*GONE, errno.EINVAL):
            raise
        return 0


def _add(found: Inhabitants, pid: int, identity: NetnsId) -> None:
    with contextlib.suppress(NotFoundError):
        ref = ProcessRef(pid, process_ref(pid).start_time, identity)
        known = found.oldest.get(identity)
        if known is None or ref.start_time < known.start_time:
            found.oldest[identity] = ref


def _pids() -> Iterator[int]:
    me = os.getpid()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and int(entry.name) != me:
                yield int(entry.name)


def find(wanted: NetnsId, wanted_cookie: int, likely_pid: int = 0) -> int | None:
    """Open the namespace with that identity: through a process (`likely_pid` first), or where it is bound.
    None if it is gone; the caller closes the descriptor. SegctlError if that cannot be told.
    """
    for path in _files(wanted, wanted_cookie, likely_pid):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            # It ended while we looked.
            if error.errno in (*GONE, errno.EACCES):
                continue
            raise SegctlError(
                f"a network namespace could not be opened: {error}",
                state="nothing was changed",
                errno=error.errno,
            ) from error
        with contextlib.ExitStack() as closing:
            closing.callback(os.close, fd)
            try:
                if netns.identity(fd) == wanted and netns.cookie(fd) == wanted_cookie:
                    closing.pop_all()
                    return fd
            except OSError as error:
                # setns refuses a namespace of another type that has the inode number by now.
                raise_if_blind(error)
    return None


def search(fits: Callable[[int], bool]) -> int | None:
    """Open the namespace whose descriptor fits, among those that have a name or a process in them; None if none
    does. The caller closes the descriptor. Raises OSError.
    """
    kind = os.stat("/proc/self/ns/net").st_dev  # noqa: PTH116  as in process
    seen = set()
    for path, identity in _all_files():
        if identity in seen or identity[0] != kind:
            continue
        seen.add(identity)
        with contextlib.suppress(NotFoundError), contextlib.ExitStack() as closing:
            fd = closing.enter_context(netns.opened(path))
            if netns.identity(fd) == identity and fits(fd):
                return os.dup(fd)
    return None


def _all_files() -> Iterator[tuple[str, NetnsId]]:
    """Yield a file of each namespace, some more than once, and its identity."""
    for path in netns.named():
        with contextlib.suppress(OSError):
            found = path.stat()
            yield str(path), (found.st_dev, found.st_ino)
    for pid in _pids():
        with contextlib.suppress(OSError):
            for identity in namespaces(pid):
                yield netns_file(pid, identity)


def _files(wanted: NetnsId, wanted_cookie: int, likely_pid: int) -> Iterator[str]:
    try:
        yield netns_file(likely_pid, wanted)[0]
    except OSError as error:
        raise_if_blind(error)
    bound = netns.bound_at(wanted, wanted_cookie)
    if bound is not None:
        yield str(bound)
    living = inhabitants([wanted])
    if ref := living.oldest.get(wanted):
        with contextlib.suppress(OSError):
            yield netns_file(ref.pid, wanted)[0]

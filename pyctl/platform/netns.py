"""Network namespaces: open, enter, make, name, tell apart.

In: pids and paths. Out: file descriptors, (st_dev, st_ino) and cookies. I/O: /proc,
setns(2), unshare(2), mount(2).

A namespace's inode number is used again after its end; its cookie (SO_NETNS_COOKIE)
never is. What is written to disk carries both.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.signal_shield import signal_shield

CLONE_NEWNET = 0x40000000
MS_REC, MS_BIND, MS_SHARED = 0x4000, 0x1000, 1 << 20
MNT_DETACH = 2
SO_NETNS_COOKIE = 71
SIOCGSKNS = 0x894C
NAMED_DIRS = (Path("/run/netns"), Path("/run/docker/netns"))

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _setns(fd: int) -> None:
    _checked(_libc.setns(fd, CLONE_NEWNET), "setns")


def _return(home: int) -> None:
    try:
        _setns(home)
    except OSError as error:
        told = (
            f"segctl: a thread cannot leave a workload's network namespace: {error}\n"
        )
        os.write(2, told.encode())
        os._exit(1)


def _mount(source: str, target: str, flags: int) -> None:
    _checked(
        _libc.mount(
            source.encode(), target.encode(), b"none", ctypes.c_ulong(flags), None
        ),
        f"mount {target}",
    )


@contextlib.contextmanager
def entered(fd: int) -> Iterator[None]:
    """Put the calling thread (no other) into that namespace for the block.

    Raises OSError where setns is refused. If the way back is refused, the process ends: its thread would go
    on in the wrong namespace.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(fd)
        try:
            yield
        finally:
            _return(home)
    finally:
        os.close(home)


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[int]:
    """Open a namespace file for the block; NotFoundError if it is gone."""
    fd = open_netns(path)
    try:
        yield fd
    finally:
        os.close(fd)


def open_netns(path: str | Path) -> int:
    """Open a namespace file, to be closed by the caller. NotFoundError if it is gone, else SegctlError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotFoundError(
            f"there is no network namespace at {path}", errno=error.errno
        ) from error
    except OSError as error:
        raise SegctlError(
            f"the network namespace at {path} cannot be opened: {error.strerror}",
            errno=error.errno,
        ) from error


def raw_in(fd: int, groups: tuple[int, ...] = ()) -> RawNetlink:
    """Open an rtnetlink socket that lives in that namespace."""
    with entered(fd):
        return RawNetlink(groups)


def identity(fd: int) -> tuple[int, int]:
    """Return the namespace's identity, (st_dev, st_ino)."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def cookie(fd: int) -> int:
    """Return a number that no other namespace of this boot ever has; 0 before Linux 5.14."""
    with entered(fd), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            raw = sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise
            return 0
    return int.from_bytes(raw, "little")


def named() -> Iterator[Path]:
    """Yield the files where namespaces are bound by name, in iproute2's and Docker's directories."""
    for directory in NAMED_DIRS:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(directory.iterdir())


def is_namespace(fd: int, wanted: tuple[int, int], wanted_cookie: int) -> bool:
    """Return whether the descriptor is of the namespace with that identity and that cookie (0: any)."""
    same = identity(fd) == wanted
    return same and (not wanted_cookie or cookie(fd) == wanted_cookie)


def bound_at(wanted: tuple[int, int], wanted_cookie: int) -> Path | None:
    """Return where the namespace with that identity and that cookie (0: any) is bound in the file system;
    None if this process and the host's first one see it nowhere.
    """
    for mounts, root in ((Path("/proc/self"), ""), (Path("/proc/1"), "/proc/1/root")):
        try:
            lines = (mounts / "mountinfo").read_text(errors="surrogateescape")
        except PermissionError:
            continue
        # Not splitlines: a path may have what only Python takes for the end of a line.
        for line in lines.split("\n"):
            path = _bound(line, wanted[1], root)
            if path and _is_at(path, wanted, wanted_cookie):
                return path
    return None


def _is_at(path: Path, wanted: tuple[int, int], wanted_cookie: int) -> bool:
    """Return whether the path is that namespace; SegctlError if it cannot be entered to compare cookies."""
    try:
        # Anything may be mounted over it since.
        found = path.stat()
    except OSError:
        return False
    if (found.st_dev, found.st_ino) != wanted or not wanted_cookie:
        return (found.st_dev, found.st_ino) == wanted
    try:
        with opened(path) as fd:
            return is_namespace(fd, wanted, wanted_cookie)
    except NotFoundError:
        return False
    except OSError as error:
        raise SegctlError(
            f"the network namespace at {path} cannot be entered: {error.strerror}",
            errno=error.errno,
        ) from error


def _bound(line: str, inode: int, root: str) -> Path | None:
    """Return the mount point of a line of mountinfo (proc(5)) that binds that namespace, or None."""
    fields = line.split(" ")
    if len(fields) < 5 or fields[3] != f"net:[{inode}]":
        return None
    octal = re.compile(r"\\([0-7]{3})")
    return Path(root + octal.sub(lambda found: chr(int(found[1], 8)), fields[4]))


def create(path: Path, prepare: Callable[[], None]) -> None:
    """Create a namespace bound at `path`, after `prepare` ran inside it; do nothing if it exists.

    `prepare` runs before anybody can find the namespace. Raises SegctlError.
    """
    if bound(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # As `ip netns add` does, so that one of two makers waits for the other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not bound(path):
            _create(path, prepare)
    finally:
        os.close(lock)


def of_socket(fd: int) -> int:
    """Open the namespace that a socket lives in, named or not; the caller closes the descriptor."""
    return fcntl.ioctl(fd, SIOCGSKNS)


def bind(path: Path, fd: int) -> bool:
    """Give a namespace the name that it lost; return False if it has it. RefusedError if another namespace
    has the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if bound(path):
            with opened(path) as there:
                if identity(there) == identity(fd):
                    return False
            raise RefusedError(
                f"{path} names another namespace than the one that the workloads are attached in",
                state="nothing was changed",
                advice=f"take that name away: ip netns del {path.name}",
            )
        _share(path.parent)
        path.touch(mode=0o000)
        _mount(f"/proc/self/fd/{fd}", str(path), MS_BIND)
    finally:
        os.close(lock)
    return True


def bound(path: Path) -> bool:
    """Return whether something is mounted on that file."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def _create(path: Path, prepare: Callable[[], None]) -> None:
    _share(path.parent)

    def make() -> None:
        # In a thread of its own: unshare takes the thread along, and it ends here.
        _checked(_libc.unshare(CLONE_NEWNET), "unshare")
        prepare()
        _mount("/proc/thread-self/ns/net", str(path), MS_BIND)

    try:
        path.touch(mode=0o000)
        signal_shield(make)
    except BaseException as error:
        # A file that is no namespace must not stay.
        with contextlib.suppress(OSError):
            if not bound(path):
                path.unlink()
        if not isinstance(error, Exception):
            raise
        raise SegctlError(
            f"the network namespace {path} could not be made: {error}",
            state="nothing was changed",
        ) from error


def _share(directory: Path) -> None:
    """Share the mounts of a directory as iproute2 does: a namespace bound here is then seen in other mount
    namespaces too.
    """
    try:
        _mount("", str(directory), MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: not a mount point yet.
            raise
        _mount(str(directory), str(directory), MS_BIND | MS_REC)
        _mount("", str(directory), MS_SHARED | MS_REC)


def remove(path: Path) -> None:
    """Unbind the namespace, which ends with its last user. Idempotent."""
    if _libc.umount2(str(path).encode(), MNT_DETACH) != 0:
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOENT):
            raise OSError(code, f"umount {path}: {os.strerror(code)}")
    with contextlib.suppress(FileNotFoundError):
        path.unlink()

"""The multicast groups that sockets joined on an interface, and joining them again on the next one; likewise
the link-layer groups that somebody set by hand.

In: an interface's index, the identity of a network namespace. Out: groups as raw addresses. I/O: /proc,
pidfd_getfd(2), setsockopt(2) on the sockets of the processes that live there, ioctl(SIOCADDMULTI). When a device goes the kernel
forgets the groups on it, while each socket still calls itself a member: it leaves and joins, with its sources.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

NET = Path("/proc/thread-self/net")
SYS_PIDFD_GETFD = 438
SIOCADDMULTI, AF_UNSPEC = 0x8931, 0
MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP, MCAST_MSFILTER = 42, 45, 48
MCAST_EXCLUDE = 0
SOURCES_MAX = 64
_FILTER_HEAD, _ADDRESS = 144, 128
_AUTOMATIC = tuple(
    socket.inet_pton(family, text)
    for family, text in (
        (socket.AF_INET, "224.0.0.1"),
        (socket.AF_INET6, "ff01::1"),
        (socket.AF_INET6, "ff02::1"),
    )
)
_SOLICITED = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13]
_libc = ctypes.CDLL(None, use_errno=True)


def joined(index: int) -> tuple[bytes, ...]:
    """Return the groups on an interface of the thread's namespace, without those that the kernel joins by
    itself.
    """
    found = [*_joined4(index), *_joined6(index)]
    return tuple(
        group
        for group in found
        if group not in _AUTOMATIC and not group.startswith(_SOLICITED)
    )


def set_groups(index: int) -> tuple[bytes, ...]:
    """Return the link-layer groups on an interface that somebody set: no protocol wants them."""
    return tuple(
        bytes.fromhex(words[4].decode())
        for words in _lines("dev_mcast", skip=0)
        if words[0] == b"%d" % index and words[3] != b"0"
    )


def set_again(name: str, groups: Sequence[bytes]) -> list[str]:
    """Set these link-layer groups; return those that were refused, and why."""
    refused = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for group in groups:
            wish = struct.pack("=16sH14s8x", os.fsencode(name), AF_UNSPEC, group)
            try:
                fcntl.ioctl(asking, SIOCADDMULTI, wish)
            except OSError as error:
                refused.append(f"{group.hex(':')}: {error}")
    return refused


def _joined4(index: int) -> Iterator[bytes]:
    owner = -1
    for words in _lines("igmp"):
        # A group's number has its E of 224 to 239.
        if words[0].isdigit():
            owner = int(words[0])
        elif owner == index:
            # Shown as a number of this machine.
            yield struct.pack("=I", int(words[0], 16))


def _joined6(index: int) -> Iterator[bytes]:
    for words in _lines("igmp6", skip=0):
        if words[0] == b"%d" % index:
            yield bytes.fromhex(words[2].decode())


def _lines(table: str, skip: int = 1) -> Iterator[list[bytes]]:
    with contextlib.suppress(OSError):
        yield from _rows(NET / table)[skip:]


def _rows(table: Path) -> list[list[bytes]]:
    """Return the words of each line as bytes: names may be any bytes, socket names even have newlines."""
    lines = table.read_bytes().split(b"\n")
    return [line.split() for line in lines if line.strip()]


def join_again(netns: tuple[int, int], index: int, groups: Sequence[bytes]) -> None:
    """Make every socket of the processes in a namespace leave and join those of the groups that it is a
    member of on the interface. A socket that a process elsewhere holds is not found.
    """
    for found in _sockets(netns):
        with found:
            for group in groups:
                _join_again(found, index, group)


def _sockets(netns: tuple[int, int]) -> Iterator[socket.socket]:
    seen: set[str] = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            there = (process / "ns/net").stat()
            if (there.st_dev, there.st_ino) == netns:
                yield from _sockets_of(process, seen)


def _sockets_of(process: Path, seen: set[str]) -> Iterator[socket.socket]:
    seen |= _streams(process)
    pidfd = os.pidfd_open(int(process.name))
    try:
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                name = str(entry.readlink())
                if name.startswith("socket:") and name not in seen:
                    seen.add(name)
                    fd = _libc.syscall(SYS_PIDFD_GETFD, pidfd, int(entry.name), 0)
                    if fd >= 0:
                        yield _as_socket(fd)
    finally:
        os.close(pidfd)


def _as_socket(fd: int) -> socket.socket:
    """Wrap a descriptor as a socket. If it is another file by now, close it and raise OSError."""
    try:
        return socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        raise


def _streams(process: Path) -> frozenset[str]:
    """Return the sockets that can be in no group (most are), as /proc/PID/fd names them. The other kinds are
    not listed anywhere before they are bound.
    """
    found = set()
    for table, column in (("tcp", 9), ("tcp6", 9), ("unix", 6)):
        with contextlib.suppress(OSError):
            rows = _rows(process / "net" / table)[1:]
            inodes = (row[column] for row in rows if len(row) > column)
            found |= {
                f"socket:[{inode.decode()}]" for inode in inodes if inode.isdigit()
            }
    return frozenset(found)


def _join_again(member: socket.socket, index: int, group: bytes) -> None:
    level = socket.SOL_IP if len(group) == 4 else socket.IPPROTO_IPV6
    address = _address(group)
    sources = bytearray(_FILTER_HEAD + SOURCES_MAX * _ADDRESS)
    struct.pack_into("=I4x128sII", sources, 0, index, address, 0, SOURCES_MAX)
    size = ctypes.c_uint32(len(sources))
    buffer = (ctypes.c_char * len(sources)).from_buffer(sources)
    fd = member.fileno()
    if _libc.getsockopt(fd, level, MCAST_MSFILTER, buffer, ctypes.byref(size)):
        # No member, or not of this family.
        return
    mode, number = struct.unpack_from("=II", sources, 136)
    request = struct.pack("=I4x128s", index, address)
    with contextlib.suppress(OSError):
        member.setsockopt(level, MCAST_LEAVE_GROUP, request)
        member.setsockopt(level, MCAST_JOIN_GROUP, request)
        if mode != MCAST_EXCLUDE or number:
            kept = min(number, SOURCES_MAX)
            struct.pack_into("=I4x128sII", sources, 0, index, address, mode, kept)
            end = _FILTER_HEAD + kept * _ADDRESS
            member.setsockopt(level, MCAST_MSFILTER, bytes(sources[:end]))


def _address(group: bytes) -> bytes:
    """Return the group's address as a struct sockaddr_storage."""
    if len(group) == 4:
        return struct.pack("=H2x4s", socket.AF_INET, group).ljust(_ADDRESS, b"\0")
    return struct.pack("=H6x16s", socket.AF_INET6, group).ljust(_ADDRESS, b"\0")

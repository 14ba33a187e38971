"""The bpf(2) system call: maps, programs and their pins, without libbpf or bcc.

In: raw bytes of keys and values. Out: the same, and facts about kernel objects. I/O: bpf(2), mmap(2), bpffs.
Importing bcc costs 70 MB and a compiler; agent, engine and CLI only need to open what is pinned. Ring buffers
are in ring, tc hooks in tc.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyctl.errors import NotCapableError, NotFoundError, NotPermittedError, SegctlError

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_ATTR_BYTES = 144

BPF_MAP_CREATE, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM = 0, 1, 2
BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY = 3, 4
BPF_OBJ_PIN, BPF_OBJ_GET = 6, 7
BPF_OBJ_GET_INFO_BY_FD = 15
BPF_MAP_LOOKUP_BATCH = 24

BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY = 1, 2
BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LPM_TRIE = 9, 11
BPF_MAP_TYPE_ARRAY_OF_MAPS = 12
BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY = 5, 6
BPF_MAP_TYPE_RINGBUF = 27

BPF_F_NO_PREALLOC, BPF_F_MMAPABLE = 1, 1024
BPF_ANY = 0

_BATCH = 4096
# What the kernel says where it has no batch operation: before 5.6, or for this map type.
_ENOTSUPP = 524
_NO_BATCH = (errno.EINVAL, _ENOTSUPP)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def syscall(
    command: int, attr: bytes, what: str
) -> tuple[int, ctypes.Array[ctypes.c_char]]:
    """Call bpf(command, attr); return the result and the attr as the kernel left it.

    NotPermittedError for EPERM and EACCES, NotFoundError for ENOENT, NotCapableError for ENOSYS,
    SegctlError for the rest; all carry errno, and `what` says what was tried.
    """
    number = _SYS_BPF.get(os.uname().machine)
    if number is None:
        raise NotCapableError(f"{what}: bpf(2) on {os.uname().machine}")
    buffer = ctypes.create_string_buffer(attr.ljust(_ATTR_BYTES, b"\0"), _ATTR_BYTES)
    result = int(_libc().syscall(number, command, buffer, _ATTR_BYTES))
    if result < 0:
        raise _error(what, ctypes.get_errno())
    return result, buffer


def _error(what: str, error: int) -> SegctlError:
    text = f"{what}: {os.strerror(error)}"
    if error in (errno.EPERM, errno.EACCES):
        return NotPermittedError(
            text, advice="run as root (CAP_BPF and CAP_NET_ADMIN)", errno=error
        )
    if error == errno.ENOENT:
        return NotFoundError(text, errno=error)
    if error == errno.ENOSYS:
        return NotCapableError(
            text, advice="the kernel needs CONFIG_BPF_SYSCALL", errno=error
        )
    return SegctlError(text, errno=error)


def address(buffer: ctypes.Array[ctypes.c_char] | None) -> int:
    """Return the address of a ctypes buffer, for an attr; 0 for None."""
    return 0 if buffer is None else ctypes.addressof(buffer)


class Descriptor:
    """The file descriptor of a kernel object, closed with its context."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor, for select and friends."""
        return self.fd

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def pin(self, path: Path) -> None:
        """Pin the object at `path` (on a bpf file system); SegctlError EEXIST if something is there."""
        name = ctypes.create_string_buffer(os.fsencode(path))
        attr = struct.pack("=QII", address(name), self.fd, 0)
        syscall(BPF_OBJ_PIN, attr, f"pinning {path}")


def obj_get(path: Path) -> int:
    """Open what is pinned at `path`; return a new descriptor. NotFoundError if nothing is pinned."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    attr = struct.pack("=QII", address(name), 0, 0)
    fd, _ = syscall(BPF_OBJ_GET, attr, f"opening the pin {path}")
    return fd


def obj_info(fd: int, size: int, what: str) -> bytes:
    """Return `struct bpf_*_info` of a descriptor, `size` bytes; fields unknown to this kernel are zero."""
    info = ctypes.create_string_buffer(size)
    attr = struct.pack("=IIQ", fd, size, address(info))
    syscall(BPF_OBJ_GET_INFO_BY_FD, attr, f"asking for facts about {what}")
    return info.raw


@functools.cache
def possible_cpus() -> int:
    """Return how many values a per-CPU map holds for each key."""
    text = Path("/sys/devices/system/cpu/possible").read_text(encoding="ascii")
    return int(text.strip().split(",")[-1].split("-")[-1]) + 1


class Program(Descriptor):
    """A loaded program."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the program pinned at `path`; NotFoundError if there is none."""
        return cls(obj_get(path))


@dataclass(frozen=True)
class MapLayout:
    """The properties that must be equal for one map to replace another."""

    map_type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0


class Map(Descriptor):
    """A map. Keys and values are bytes; a per-CPU value is the CPUs' values in a row."""

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(fd)
        self.name = name
        self.layout = self._read_layout()
        self._percpu = self.layout.map_type in (
            BPF_MAP_TYPE_PERCPU_HASH,
            BPF_MAP_TYPE_PERCPU_ARRAY,
        )
        self._value_bytes = (
            self.slot_bytes * possible_cpus()
            if self._percpu
            else self.layout.value_size
        )

    @classmethod
    def create(cls, name: str, layout: MapLayout, inner: Map | None = None) -> Self:
        """Create a map; SegctlError with the kernel's errno. A map of maps takes maps that are like `inner`."""
        template = 0 if inner is None else inner.fd
        attr = struct.pack(
            "=IIIII II 16s",
            *(layout.map_type, layout.key_size, layout.value_size),
            *(layout.max_entries, layout.flags, template, 0, name.encode()[:15]),
        )
        fd, _ = syscall(BPF_MAP_CREATE, attr, f"making the map {name}")
        return cls(fd, name)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the map pinned at `path`; NotFoundError if there is none."""
        return cls(obj_get(path), path.name)

    def _read_layout(self) -> MapLayout:
        info = obj_info(self.fd, 24, f"the map {self.name}")
        kind, _, key, value, entries, flags = struct.unpack("=6I", info)
        return MapLayout(kind, key, value, entries, flags)

    @property
    def slot_bytes(self) -> int:
        """Return the size of one CPU's slot in a per-CPU value: the kernel rounds up to eight."""
        return (self.layout.value_size + 7) & ~7

    def _key(self, key: bytes) -> ctypes.Array[ctypes.c_char]:
        if len(key) != self.layout.key_size:
            raise SegctlError(
                f"a key of {self.name} has {self.layout.key_size} bytes, not {len(key)}"
            )
        return ctypes.create_string_buffer(key, len(key))

    def _element(self, key: int, value: int, flags: int) -> bytes:
        return struct.pack("=IIQQQ", self.fd, 0, key, value, flags)

    def lookup(self, key: bytes) -> bytes | None:
        """Return the value of a key; None if there is no such key."""
        name = self._key(key)
        value = ctypes.create_string_buffer(self._value_bytes)
        attr = self._element(address(name), address(value), 0)
        try:
            syscall(BPF_MAP_LOOKUP_ELEM, attr, f"reading the map {self.name}")
        except NotFoundError:
            return None
        return value.raw

    def lookup_percpu(self, key: bytes) -> list[bytes]:
        """Return each possible CPU's value; an empty list if there is no such key."""
        value = self.lookup(key)
        return [] if value is None else self.split(value)

    def split(self, value: bytes) -> list[bytes]:
        """Split a per-CPU value into the CPUs' values."""
        return [
            value[at : at + self.layout.value_size]
            for at in range(0, len(value), self.slot_bytes)
        ]

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        """Write a whole value. SegctlError with errno E2BIG for a full map, EEXIST and ENOENT (NotFoundError)
        as the flags ask.
        """
        if len(value) != self._value_bytes:
            raise SegctlError(
                f"a value of {self.name} has {self._value_bytes} bytes, not {len(value)}"
            )
        name = self._key(key)
        content = ctypes.create_string_buffer(value, len(value))
        attr = self._element(address(name), address(content), flags)
        syscall(BPF_MAP_UPDATE_ELEM, attr, f"writing the map {self.name}")

    def delete(self, key: bytes) -> bool:
        """Delete a key; return whether it existed."""
        name = self._key(key)
        attr = self._element(address(name), 0, 0)
        try:
            syscall(BPF_MAP_DELETE_ELEM, attr, f"deleting from the map {self.name}")
        except NotFoundError:
            return False
        return True

    def _next_key(self, key: bytes | None) -> bytes | None:
        before = None if key is None else self._key(key)
        after = ctypes.create_string_buffer(self.layout.key_size)
        attr = self._element(address(before), address(after), 0)
        try:
            syscall(BPF_MAP_GET_NEXT_KEY, attr, f"listing the map {self.name}")
        except NotFoundError:
            return None
        return after.raw

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all entries, in batches if the kernel can; changes made meanwhile may be missed."""
        try:
            yield from self._items_by_batch()
        except SegctlError as error:
            if error.errno not in _NO_BATCH:
                raise
            yield from self._items_one_by_one()

    def entry_keys(self) -> list[bytes]:
        """Return all keys, as entries() finds them; the list allows deleting entries while going through."""
        return [key for key, _ in self.entries()]

    def keys_from(self, head: bytes) -> list[bytes]:
        """Return the keys that begin with `head`, without making an object of each other key."""
        try:
            batches = list(self._batches())
        except SegctlError as error:
            if error.errno not in _NO_BATCH:
                raise
            return [key for key in self.entry_keys() if key.startswith(head)]
        size = self.layout.key_size
        found = []
        for raw, _ in batches:
            # The first byte of every key, side by side.
            first = raw[::size]
            at = first.find(head[:1])
            while at >= 0:
                key = raw[at * size : (at + 1) * size]
                if key.startswith(head):
                    found.append(key)
                at = first.find(head[:1], at + 1)
        return found

    def _items_one_by_one(self) -> Iterator[tuple[bytes, bytes]]:
        key = self._next_key(None)
        # A key deleted under way starts the walk again; bounded, so that it ends all the same.
        for _ in range(2 * self.layout.max_entries):
            if key is None:
                return
            value = self.lookup(key)
            if value is not None:
                yield key, value
            key = self._next_key(key)

    def _items_by_batch(self) -> Iterator[tuple[bytes, bytes]]:
        size, width = self.layout.key_size, self._value_bytes
        for keys, values in self._batches():
            for at in range(len(keys) // size):
                yield (
                    keys[at * size : (at + 1) * size],
                    values[at * width : (at + 1) * width],
                )

    def _batches(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (keys, values) of many entries at a time, each concatenated."""
        size, width = self.layout.key_size, self._value_bytes
        room = _BATCH
        cursor: ctypes.Array[ctypes.c_char] | None = None
        while True:
            keys = ctypes.create_string_buffer(room * size)
            values = ctypes.create_string_buffer(room * width)
            after = ctypes.create_string_buffer(max(size, 4))
            count, last = self._batch(cursor, after, keys, values, room)
            if count < 0:
                room *= 4
                continue
            yield keys.raw[: count * size], values.raw[: count * width]
            if last:
                return
            cursor = after

    def _batch(
        self,
        before: ctypes.Array[ctypes.c_char] | None,
        after: ctypes.Array[ctypes.c_char],
        keys: ctypes.Array[ctypes.c_char],
        values: ctypes.Array[ctypes.c_char],
        room: int,
    ) -> tuple[int, bool]:
        """Read a batch; return (entries, whether it is the last); -1: `room` is too small for a bucket."""
        attr = bytearray(
            struct.pack(
                "=QQQQIIQQ",
                *(address(before), address(after), address(keys), address(values)),
                *(room, self.fd, 0, 0),
            )
        )
        buffer = ctypes.create_string_buffer(bytes(attr).ljust(_ATTR_BYTES, b"\0"))
        number = _SYS_BPF[os.uname().machine]
        result = _libc().syscall(number, BPF_MAP_LOOKUP_BATCH, buffer, _ATTR_BYTES)
        count = struct.unpack_from("=I", buffer.raw, 32)[0]
        if result == 0:
            return count, False
        error = ctypes.get_errno()
        if error == errno.ENOENT:
            return count, True
        if error == errno.ENOSPC:
            return -1, False
        raise _error(f"listing the map {self.name}", error)

    def mmap(self, *, write: bool) -> mmap.mmap:
        """Map the values of a BPF_F_MMAPABLE array into memory; value n is at n * slot_bytes."""
        size = self.slot_bytes * self.layout.max_entries
        page = mmap.PAGESIZE
        access = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        try:
            return mmap.mmap(
                self.fd, (size + page - 1) // page * page, mmap.MAP_SHARED, access
            )
        except OSError as error:
            raise SegctlError(
                f"mapping {self.name} into memory: {error.strerror}", errno=error.errno
            ) from error

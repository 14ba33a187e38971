"""Reading a BPF ring buffer through its memory.

In: the descriptor of a BPF_MAP_TYPE_RINGBUF map. Out: records. I/O: mmap(2), epoll by the caller.
The kernel maps the data area twice in a row, so that a record that wraps is read in one piece.
"""

from __future__ import annotations

import mmap
import struct
from typing import Self

from pyctl.errors import SegctlError
from pyctl.platform.bpf.commands import Map

_BUSY, _DISCARD = 1 << 31, 1 << 30
_HEADER = 8


class RingReader:
    """The one consumer of a ring buffer. Readable (select, epoll) while there are records."""

    def __init__(self, ring: Map) -> None:
        """Map the ring into memory. The reader owns the map and closes it."""
        self._ring = ring
        self._size = ring.layout.max_entries
        page = mmap.PAGESIZE
        try:
            self._consumer = mmap.mmap(ring.fd, page, mmap.MAP_SHARED)
            self._producer = mmap.mmap(
                ring.fd,
                page + 2 * self._size,
                mmap.MAP_SHARED,
                mmap.PROT_READ,
                offset=page,
            )
        except OSError as error:
            ring.close()
            raise SegctlError(
                f"mapping the ring buffer {ring.name}: {error.strerror}",
                errno=error.errno,
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor, for select and epoll (EPOLLIN)."""
        return self._ring.fd

    def close(self) -> None:
        """Close the ring and its map. Idempotent."""
        self._producer.close()
        self._consumer.close()
        self._ring.close()

    def read(self, limit: int = 1024) -> list[bytes]:
        """Read up to `limit` complete records, oldest first, and remove them from the ring."""
        found: list[bytes] = []
        data = mmap.PAGESIZE
        (at,) = struct.unpack_from("=Q", self._consumer, 0)
        (end,) = struct.unpack_from("=Q", self._producer, 0)
        while at < end and len(found) < limit:
            offset = data + (at & (self._size - 1))
            (header,) = struct.unpack_from("=I", self._producer, offset)
            if header & _BUSY:
                break
            length = header & ~(_BUSY | _DISCARD)
            if not header & _DISCARD:
                start = offset + _HEADER
                found.append(self._producer[start : start + length])
            at += (_HEADER + length + 7) & ~7
            struct.pack_into("=Q", self._consumer, 0, at)
        return found

"""BPF programs that are loaded already: opening, facts, test runs, statistics, BTF.

In: pins. Out: descriptors and frozen facts. I/O: bpf(2).
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyctl.platform.bpf import Descriptor, address, obj_get, obj_info, syscall

BPF_PROG_TEST_RUN, BPF_BTF_GET_FD_BY_ID, BPF_ENABLE_STATS = 10, 19, 32
BPF_PROG_TYPE_SCHED_CLS = 3
_SK_BUFF_BYTES = 192
_SK_BUFF_IFINDEX, _SK_BUFF_GSO_SIZE = 40, 176
_FRAME_ROOM = 65536


@dataclass(frozen=True)
class ProgramInfo:
    """`struct bpf_prog_info`, the parts that are of use."""

    prog_type: int
    id: int
    tag: str
    """The kernel's digest of the instructions, 16 hexadecimal digits."""
    name: str
    """At most 15 bytes."""
    map_ids: int
    """How many maps it uses."""
    btf_id: int
    """0: loaded without BTF."""
    run_time_ns: int
    """With statistics enabled; else it stands still."""
    run_count: int


@dataclass(frozen=True)
class TestRun:
    """What BPF_PROG_TEST_RUN gave."""

    retval: int
    """As the program returned it: signed."""
    data: bytes
    """The frame afterwards."""
    duration_ns: int
    """Mean of the repetitions."""


class Program(Descriptor):
    """One loaded program."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """The program pinned at `path`; NotFoundError where there is none."""
        return cls(obj_get(path))

    def info(self) -> ProgramInfo:
        """Facts; SegctlError with errno for a descriptor that is no program."""
        raw = obj_info(self.fd, 232, "a program")
        prog_type, ident, tag = struct.unpack_from("=II8s", raw, 0)
        map_ids, _, name = struct.unpack_from("=IQ16s", raw, 52)
        (btf_id,) = struct.unpack_from("=I", raw, 128)
        run_time, run_count = struct.unpack_from("=QQ", raw, 192)
        text = name.split(b"\0", 1)[0].decode()
        return ProgramInfo(
            prog_type, ident, tag.hex(), text, map_ids, btf_id, run_time, run_count
        )

    def test_run(
        self, frame: bytes, *, ifindex: int = 0, gso_size: int = 0, repeat: int = 1
    ) -> TestRun:
        """Run a tc program on a frame, as if it came from `ifindex` of the caller's netns (0: from
        the loopback device). SegctlError EINVAL for a frame under 14 bytes.
        """
        context = bytearray(_SK_BUFF_BYTES)
        struct.pack_into("=I", context, _SK_BUFF_IFINDEX, ifindex)
        struct.pack_into("=I", context, _SK_BUFF_GSO_SIZE, gso_size)
        given = ctypes.create_string_buffer(frame, max(len(frame), 1))
        out = ctypes.create_string_buffer(_FRAME_ROOM)
        skb = ctypes.create_string_buffer(bytes(context), _SK_BUFF_BYTES)
        attr = struct.pack(
            "=IIIIQQIIIIQQIII",
            *(self.fd, 0, len(frame), _FRAME_ROOM, address(given), address(out)),
            *(repeat, 0, _SK_BUFF_BYTES, 0, address(skb), 0, 0, 0, 0),
        )
        _, back = syscall(BPF_PROG_TEST_RUN, attr, "a test run of a program")
        _, retval, _, size = struct.unpack_from("=IiII", back.raw, 0)
        (duration,) = struct.unpack_from("=I", back.raw, 36)
        return TestRun(retval, out.raw[:size], duration)

    def btf(self) -> bytes:
        """Its BTF blob, empty where it was loaded without."""
        ident = self.info().btf_id
        if not ident:
            return b""
        fd, _ = syscall(BPF_BTF_GET_FD_BY_ID, struct.pack("=I", ident), "opening BTF")
        with Descriptor(fd):
            size = struct.unpack_from("=QI", obj_info(fd, 16, "BTF"), 0)[1]
            blob = ctypes.create_string_buffer(size)
            info = ctypes.create_string_buffer(
                struct.pack("=QII", address(blob), size, 0)
            )
            syscall(15, struct.pack("=IIQ", fd, 16, address(info)), "reading BTF")
            return blob.raw


def enable_stats() -> Descriptor:
    """Run times and counts are kept by the kernel while the descriptor is open."""
    fd, _ = syscall(BPF_ENABLE_STATS, struct.pack("=I", 0), "enabling BPF statistics")
    return Descriptor(fd)

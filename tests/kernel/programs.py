"""Programs as tests look at them: runs on one frame, and the types they were compiled with.

In: pins. Out: verdicts, frames, BTF. I/O: bpf(2).
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass

from pyctl.platform.bpf import commands as bpf
from pyctl.platform.bpf.commands import (
    BPF_OBJ_GET_INFO_BY_FD,
    Descriptor,
    address,
    obj_info,
    syscall,
)

BPF_PROG_TEST_RUN, BPF_BTF_GET_FD_BY_ID = 10, 19
_SK_BUFF_BYTES = 192
_SK_BUFF_MARK, _SK_BUFF_IFINDEX, _SK_BUFF_GSO_SIZE = 8, 40, 176
_FRAME_ROOM = 65536
_PROG_INFO_BYTES, _PROG_INFO_BTF_ID = 232, 128


@dataclass(frozen=True)
class TestRun:
    """What BPF_PROG_TEST_RUN gave."""

    __test__ = False
    retval: int
    """As the program returned it: signed."""
    data: bytes
    """The frame afterwards."""


class Program(bpf.Program):
    """One loaded program."""

    def test_run(
        self,
        frame: bytes,
        *,
        gso_size: int = 0,
        mark: int = 0,
        ifindex: int = 0,
        repeat: int = 1,
    ) -> TestRun:
        """Run a tc program on a frame, as if it came from that device; 0: the loopback device.

        SegctlError EINVAL for a frame under 14 bytes.
        """
        context = bytearray(_SK_BUFF_BYTES)
        struct.pack_into("=I", context, _SK_BUFF_MARK, mark)
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
        return TestRun(retval, out.raw[:size])

    def btf(self) -> bytes:
        """Its BTF blob, empty where it was loaded without."""
        raw = obj_info(self.fd, _PROG_INFO_BYTES, "a program")
        (ident,) = struct.unpack_from("=I", raw, _PROG_INFO_BTF_ID)
        if not ident:
            return b""
        fd, _ = syscall(BPF_BTF_GET_FD_BY_ID, struct.pack("=I", ident), "opening BTF")
        with Descriptor(fd):
            size = struct.unpack_from("=QI", obj_info(fd, 16, "BTF"), 0)[1]
            blob = ctypes.create_string_buffer(size)
            info = ctypes.create_string_buffer(
                struct.pack("=QII", address(blob), size, 0)
            )
            syscall(
                BPF_OBJ_GET_INFO_BY_FD,
                struct.pack("=IIQ", fd, 16, address(info)),
                "reading BTF",
            )
            return blob.raw

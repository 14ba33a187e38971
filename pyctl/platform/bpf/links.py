"""BPF links that hold programs on an interface: found among all links of the host, and detached.

In: a kind of link, an ifindex, program ids. Out: nothing. I/O: bpf(2). Netlink and BPF_PROG_DETACH take
off only what was put on without a link.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator

from pyctl.errors import NotFoundError, SegctlError
from pyctl.platform.bpf.commands import obj_info, syscall

BPF_LINK_GET_FD_BY_ID, BPF_LINK_GET_NEXT_ID, BPF_LINK_DETACH = 30, 31, 34
BPF_LINK_TYPE_XDP, BPF_LINK_TYPE_TCX = 6, 11
_INFO_BYTES, _IFINDEX_AT = 64, 16
"""struct bpf_link_info: type, id, program; then, of these types, the ifindex."""
_LINKS_MAX = 65536


def detach(kind: int, ifindex: int, programs: Collection[int]) -> None:
    """Detach the links of this kind that hold one of these programs on the interface. SegctlError if the
    kernel refuses.
    """
    for fd in _links(kind, ifindex, programs) if programs else ():
        syscall(BPF_LINK_DETACH, struct.pack("=I", fd), "detaching a BPF link")


def _links(kind: int, ifindex: int, programs: Collection[int]) -> Iterator[int]:
    """Yield the descriptors of these links, each open until the next."""
    at = 0
    for _ in range(_LINKS_MAX):
        try:
            asked = struct.pack("=II", at, 0)
            _, answer = syscall(BPF_LINK_GET_NEXT_ID, asked, "listing BPF links")
        except NotFoundError:
            return
        at = struct.unpack_from("=I", answer.raw, 4)[0]
        try:
            asked = struct.pack("=II", at, 0)
            fd, _ = syscall(BPF_LINK_GET_FD_BY_ID, asked, f"opening BPF link {at}")
        except SegctlError:
            # It has ended meanwhile.
            continue
        try:
            info = obj_info(fd, _INFO_BYTES, f"BPF link {at}")
            found, _id, program = struct.unpack_from("=III", info)
            (where,) = struct.unpack_from("=I", info, _IFINDEX_AT)
            if found == kind and where == ifindex and program in programs:
                yield fd
        finally:
            os.close(fd)

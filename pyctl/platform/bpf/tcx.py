"""Programs on the tcx hooks of an interface, which no qdisc shows.

In: a namespace's descriptor, an ifindex. Out: how many there are. I/O: bpf(2), in that namespace.
tcx came with Linux 6.6. An interface keeps its programs when it moves to another namespace.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from pyctl.errors import SegctlError
from pyctl.platform.bpf import links as bpf_links
from pyctl.platform.bpf.commands import syscall
from pyctl.platform.netns import entered

BPF_PROG_DETACH, BPF_PROG_GET_FD_BY_ID, BPF_PROG_QUERY = 9, 13, 16
BPF_TCX_INGRESS, BPF_TCX_EGRESS = 46, 47
_HOOKS = (BPF_TCX_INGRESS, BPF_TCX_EGRESS)
_NONE = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.EPERM)
_PROGRAMS_MAX = 64
"""BPF_MPROG_MAX: of one hook."""
_COUNT_AT = 24
"""union bpf_attr: query.count, behind target, type, two flags and the ids' address."""


def count_programs(netns_fd: int, ifindex: int) -> int:
    """Count the programs on both hooks; 0 if the kernel has no tcx or refuses to tell. Raises SegctlError."""
    with entered(netns_fd):
        return sum(len(_programs(ifindex, hook)) for hook in _HOOKS)


def take_off(netns_fd: int, ifindex: int) -> bool:
    """Remove all tcx programs and the links that hold them; return whether none is left. Idempotent."""
    with entered(netns_fd):
        for hook in _HOOKS:
            found = _programs(ifindex, hook)
            bpf_links.detach(bpf_links.BPF_LINK_TYPE_TCX, ifindex, found)
            for program in _programs(ifindex, hook):
                _detach(ifindex, hook, program)
        return not any(_programs(ifindex, hook) for hook in _HOOKS)


def _programs(ifindex: int, hook: int) -> tuple[int, ...]:
    """Return the ids of the programs on one hook."""
    ids = (ctypes.c_uint32 * _PROGRAMS_MAX)()
    attr = struct.pack(
        "=IIIIQQ", ifindex, hook, 0, 0, ctypes.addressof(ids), _PROGRAMS_MAX
    )
    try:
        _, answer = syscall(
            BPF_PROG_QUERY, attr, f"asking for tcx programs of {ifindex}"
        )
    except SegctlError as error:
        # EINVAL: no such hook in this kernel. ENOENT: nothing was ever attached. EPERM: to us bpf(2)
        # is refused as a whole, and what others did with it cannot be known.
        if error.errno in _NONE:
            return ()
        raise
    (count,) = struct.unpack_from("=I", answer.raw, _COUNT_AT)
    return tuple(ids[:count])


def _detach(ifindex: int, hook: int, program: int) -> None:
    asked = struct.pack("=II", program, 0)
    fd, _ = syscall(BPF_PROG_GET_FD_BY_ID, asked, f"opening BPF program {program}")
    try:
        attr = struct.pack("=IIII", ifindex, fd, hook, 0)
        syscall(BPF_PROG_DETACH, attr, f"taking a tcx program off {ifindex}")
    finally:
        os.close(fd)

"""Programs on the tcx hooks of an interface, which no qdisc shows.

In: a namespace's descriptor, an ifindex. Out: how many there are. I/O: bpf(2), in that namespace.
tcx came with Linux 6.6; a link there ends when its interface changes namespaces.
"""

from __future__ import annotations

import errno
import struct

from pyctl.errors import SegctlError
from pyctl.platform.bpf import syscall
from pyctl.platform.netns import entered

BPF_PROG_QUERY = 16
BPF_TCX_INGRESS, BPF_TCX_EGRESS = 46, 47
_NONE = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.EPERM)
_COUNT_AT = 24
"""union bpf_attr: query.count, behind target, type, two flags and the ids' address."""


def count_programs(netns_fd: int, ifindex: int) -> int:
    """On both hooks; 0 where the kernel has no tcx, or may not be asked. Raises SegctlError."""
    with entered(netns_fd):
        return sum(_count(ifindex, hook) for hook in (BPF_TCX_INGRESS, BPF_TCX_EGRESS))


def _count(ifindex: int, hook: int) -> int:
    attr = struct.pack("=IIIIQQ", ifindex, hook, 0, 0, 0, 0)
    try:
        _, answer = syscall(
            BPF_PROG_QUERY, attr, f"asking for tcx programs of {ifindex}"
        )
    except SegctlError as error:
        # EINVAL: no such hook in this kernel. ENOENT: nothing was ever attached. EPERM: to us bpf(2)
        # is refused as a whole, and what others did with it cannot be known.
        if error.errno in _NONE:
            return 0
        raise
    return int(struct.unpack_from("=I", answer.raw, _COUNT_AT)[0])

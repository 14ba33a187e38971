"""Take XDP programs off an interface, whether netlink or a BPF link holds them there.

In: a socket in the interface's namespace, a Link. Out: whether they are off. I/O: rtnetlink, bpf(2).
An interface keeps them when it moves to another namespace, where they would go on in front of
everything else that looks at a frame.
"""

from __future__ import annotations

import struct

from pyctl.platform.bpf import links as bpf_links
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import Message, RawNetlink, attr, attr_u32, nest

IFLA_XDP_FD, IFLA_XDP_FLAGS = 1, 3
XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE = 1 << 1, 1 << 2


def take_off(nl: RawNetlink, link: Link) -> bool:
    """Remove XDP programs in every mode; return whether none is left. Idempotent. SegctlError as bpf(2)."""
    modes = (XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE)
    # Refused where nothing is there in that mode, or a BPF link holds it.
    nl.batch(_off(link.index, mode) for mode in modes)
    left = links.xdp_programs(nl, link.index)
    bpf_links.detach(bpf_links.BPF_LINK_TYPE_XDP, link.index, left)
    return not links.xdp_programs(nl, link.index)


def _off(index: int, mode: int) -> Message:
    program = attr(IFLA_XDP_FD, struct.pack("=i", -1)) + attr_u32(IFLA_XDP_FLAGS, mode)
    body = links.ifinfo(index) + nest(links.IFLA_XDP, program)
    return Message(links.RTM_SETLINK, body)

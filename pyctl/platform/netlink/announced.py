"""Which addresses the kernel makes by itself: of what IPv6 routers announce, and of the link alone.

In: message bodies of l3. Out: yes or no. I/O: none.
"""

from __future__ import annotations

import socket

from pyctl.platform.netlink import l3
from pyctl.platform.netlink.raw import attrs, u32

IFA_PROTO = 11
IFAPROT_KERNEL_RA, IFAPROT_KERNEL_LL = 2, 3
IFA_F_TEMPORARY = 0x01


def made_by_router(body: bytes) -> bool:
    """Return whether a router's announcement made the address; before Linux 5.18, by its lifetimes alone."""
    found = attrs(body[8:])
    flags = u32(found.get(l3.IFA_FLAGS)) & (IFA_F_TEMPORARY | l3.IFA_F_MANAGETEMPADDR)
    valid = u32(found.get(l3.IFA_CACHEINFO, b"")[4:8], l3.INFINITE)
    proto = found.get(IFA_PROTO, b"")[:1]
    return body[0] == socket.AF_INET6 and (
        bool(flags) or proto == bytes([IFAPROT_KERNEL_RA]) or valid != l3.INFINITE
    )


def comes_by_itself(body: bytes) -> bool:
    """Return whether a router or the kernel made the address (before Linux 5.18: any link-local one)."""
    proto = attrs(body[8:]).get(IFA_PROTO, bytes([IFAPROT_KERNEL_LL]))[:1]
    own = l3.address_scope(body) == l3.RT_SCOPE_LINK
    own = own and body[0] == socket.AF_INET6 and proto == bytes([IFAPROT_KERNEL_LL])
    return own or made_by_router(body)

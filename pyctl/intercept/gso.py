"""Which super-frames vbr-neuv takes whole: those that a packet socket can hand on.

In: the name of vbr-neuv. Out: nothing, or feature words. I/O: ioctl(2) in the namespace that the
calling thread stands in.

A struct virtio_net_hdr says "TCP" or "UDP", at one place in the frame. A super-frame of another kind
(a tunnel's, SCTP's, a list of packets) loses its kind on the way through the engine, and the kernel
refuses it when it is sent on. So vbr-neuv does not offer those kinds: the kernel cuts such a frame
into packets, and sums them up, before anyone sees it there. The workload's own interface keeps its
offloads, and what the kernel carries by itself never meets vbr-neuv.
"""

from __future__ import annotations

import os

from pyctl.platform import offloads

_KEPT = {
    "tx-generic-segmentation",
    "tx-tcp-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-tcp-mangleid-segmentation",
    "tx-tcp6-segmentation",
}
_UDP = "tx-udp-segmentation"
_UDP_SINCE = (6, 2)
"""Linux 6.2 has VIRTIO_NET_HDR_GSO_UDP_L4."""


def kernel_version(release: str) -> tuple[int, int]:
    """Return the two numbers at the head of a kernel's release; (0, 0) where there are none."""
    parts = release.replace("-", ".").split(".")[:2]
    if len(parts) < 2 or not all(part.isdigit() for part in parts):
        return (0, 0)
    return (int(parts[0]), int(parts[1]))


def is_inexpressible(feature: str, kernel: tuple[int, int]) -> bool:
    """Tell whether a virtio_net_hdr of this kernel has no word for what the feature hands over."""
    if feature == _UDP:
        return kernel < _UDP_SINCE
    # SCTP's checksum is a CRC, and the header knows only the Internet's sum.
    if feature in ("tx-checksum-sctp", "tx-gso-list"):
        return True
    return "segmentation" in feature and feature not in _KEPT


def inexpressible(name: str) -> tuple[int, ...]:
    """Return the words of the features that `name` must not offer."""
    kernel = kernel_version(os.uname().release)
    return offloads.mask(name, lambda feature: is_inexpressible(feature, kernel))


def limit(name: str) -> None:
    """Switch these features off; idempotent. OSError if the kernel refuses."""
    now = offloads.requested(name)
    off = inexpressible(name)
    offloads.request(
        name, tuple(have & ~bits for have, bits in zip(now, off, strict=False))
    )

"""The offloads that an interface's owner asked for (`ethtool -k`): read, and asked for
again.

In: an interface's name. Out: the requested features, one 32-bit word each. I/O:
ioctl(2) in the namespace that the calling thread stands in.

The bits' meaning is the running kernel's own: it names them (`names`), and equal bits of two
devices under one kernel mean the same.
"""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import struct
from collections.abc import Callable, Sequence

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSSET_INFO = 0x1B, 0x37
ETHTOOL_GFEATURES, ETHTOOL_SFEATURES = 0x3A, 0x3B
ETH_SS_FEATURES, ETH_GSTRING_LEN = 4, 32
WORDS = 2
"""ETHTOOL_DEV_FEATURE_WORDS of every kernel so far; a larger kernel answers the first
two.
"""


def _ethtool(name: str, request: array.array[int]) -> bool:
    """Send the ethtool request; return False if the device has no features."""
    address, _length = request.buffer_info()
    ifreq = struct.pack("16sP16x", name.encode(errors="surrogateescape"), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            fcntl.ioctl(sock, SIOCETHTOOL, ifreq)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                return False
            raise
    return True


def _read(name: str) -> list[tuple[int, int]]:
    """Return (changeable bits, requested bits) of each word."""
    request = array.array("I", [ETHTOOL_GFEATURES, WORDS, *([0] * 4 * WORDS)])
    if not _ethtool(name, request):
        return []
    # struct ethtool_get_features_block: available, requested, active, never_changed.
    return [(request[2 + 4 * i], request[3 + 4 * i]) for i in range(WORDS)]


def requested(name: str) -> tuple[int, ...]:
    """Return the requested features among the changeable ones; () if the device has no features.

    Raises OSError (ENODEV: no such interface here).
    """
    return tuple(available & wanted for available, wanted in _read(name))


def request(name: str, wanted: Sequence[int]) -> None:
    """Request these features as far as this device can; only what differs is touched."""
    words: list[int] = []
    for (available, now), want in zip(_read(name), wanted, strict=False):
        words += [(now ^ want) & available, want]
    if any(words[::2]):
        count = len(words) // 2
        _ethtool(name, array.array("I", [ETHTOOL_SFEATURES, count, *words]))


def names(name: str) -> tuple[str, ...]:
    """Return the name of each bit, lowest first; "" for one without a name. OSError as `requested`."""
    info = array.array("I", [ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0, 0])
    if not _ethtool(name, info):
        return ()
    count = info[4]
    blank = [0] * (count * ETH_GSTRING_LEN // 4)
    strings = array.array("I", [ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count, *blank])
    if not _ethtool(name, strings):
        return ()
    raw = strings.tobytes()[12:]
    slots = range(0, len(raw), ETH_GSTRING_LEN)
    return tuple(
        raw[at : at + ETH_GSTRING_LEN].split(b"\0")[0].decode(errors="replace")
        for at in slots
    )


def mask(name: str, wanted: Callable[[str], bool]) -> tuple[int, ...]:
    """Return the words with a bit for each feature whose name is wanted."""
    bits = sum(1 << at for at, word in enumerate(names(name)) if word and wanted(word))
    return tuple(bits >> 32 * at & 0xFFFFFFFF for at in range(WORDS))

"""What a failed look says: that something is not there, or that this process could not look.

In: OSError. Out: the latter raised again. I/O: none. A caller that takes every OSError for "gone" gives up a
living workload when descriptors run out.
"""

from __future__ import annotations

import errno

_BLIND = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def raise_if_blind(error: OSError) -> None:
    """Raise `error` if it tells nothing about what was looked for: no descriptor or memory is left."""
    if error.errno in _BLIND:
        raise error

"""What the kernel says on a watch's socket, played: datagrams, and where some were lost."""

from __future__ import annotations

import contextlib
import errno

import pytest

from pyctl.platform.watch import changes
from pyctl.platform.watch.changes import ChangeWatch

LOST = OSError(errno.ENOBUFS, "No buffer space available")


class Said:
    """A socket with these datagrams; an error in their place is raised."""

    def __init__(self, *said: bytes | OSError) -> None:
        self.said = list(said)

    def recvfrom(self, _size: int, _flags: int) -> tuple[bytes, tuple[int, int]]:
        if not self.said:
            raise BlockingIOError
        one = self.said.pop(0)
        if isinstance(one, OSError):
            raise one
        return one, (0, 1)

    def setblocking(self, _flag: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        """A played socket has no descriptor."""


def hears(
    monkeypatch: pytest.MonkeyPatch, kind: type[ChangeWatch], *said: bytes | OSError
) -> ChangeWatch:
    """A watch on which this was said, of a namespace that nobody need enter."""
    for name in ("opened", "entered"):
        monkeypatch.setattr(changes, name, contextlib.nullcontext)
    monkeypatch.setattr(changes, "kernel_socket", lambda _groups: Said(*said))
    return kind("own")  # type: ignore[call-arg]

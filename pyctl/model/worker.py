"""Which of an instance's engines one is, where several share the packets.

In: a number, and how many there are. Out: the names of its files. I/O: none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Worker:
    """One engine of `of`; packets are shared by a hash of both addresses (bpf/segctl_worker.h)."""

    number: int = 0
    of: int = 1

    def file(self, suffix: str) -> str:
        """Return the name of a file of its own: engine.SUFFIX of the first, engine-1.SUFFIX of the next."""
        return f"engine-{self.number}.{suffix}" if self.number else f"engine.{suffix}"


ALONE = Worker()

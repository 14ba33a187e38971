"""Which of an instance's engines one is, where several share the packets.

In: a number, and how many there are. Out: the names of its files; how many there should be. I/O: none.
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
CPUS_PER_WORKER = 4


def workers_for(cpus: int) -> int:
    """Return how many engines share the packets where nobody says: one for each four CPUs."""
    return max(1, cpus // CPUS_PER_WORKER)

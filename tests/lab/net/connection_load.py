"""Very many connections between members of a crowd, in random order: when each began, opened and ended.

Depends on: root, gcc. The program (connection_load.c) makes and serves them all; times are CLOCK_MONOTONIC's in ns.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.lab.net.crowd import Member
from tests.lab.processes import must

DONE, REFUSED, SILENT, CUT = range(4)
PATIENCE_MS = 1500
"""One more SYN is sent after a second."""
_RECORD = struct.Struct("=HHBB2xQQQ")


class Connection(NamedTuple):
    """One of them; `source` and `target` are numbers of members, `port` of those asked for."""

    source: int
    target: int
    port: int
    outcome: int
    """DONE, REFUSED, SILENT (nobody answered in time), CUT (it opened, and never ended as it should)."""
    started: int
    opened: int
    """0: it did not."""
    ended: int


class ConnectionLoad:
    """Runs from when it is made; `ended` waits for its end."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[Member],
        ports: Sequence[int],
        count: int,
        *,
        seed: int = 1,
        at_once: int = 32,
    ) -> None:
        program, self._told = folder / "connection_load", folder / "connections"
        source = Path(__file__).with_suffix(".c")
        must("gcc", "-O2", "-std=gnu11", "-o", program, source)
        self.process = subprocess.Popen(
            [
                *(str(program), str(count), str(seed), str(at_once)),
                *(str(PATIENCE_MS), str(self._told), *map(str, ports)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if self.process.stdin:
            lines = (f"{one.path} {one.address}\n" for one in members)
            self.process.stdin.write("".join(lines))
            self.process.stdin.close()

    def ended(self) -> float:
        """Wait for the end; return how many seconds it took."""
        out = self.process.stdout.read() if self.process.stdout else ""
        assert self.process.wait() == 0
        return float(json.loads(out)["seconds"])

    def connections(self) -> Iterator[Connection]:
        """Yield them in the order of their beginnings."""
        with self._told.open("rb") as file:
            while block := file.read(_RECORD.size * 4096):
                for row in _RECORD.iter_unpack(block):
                    yield Connection(*row)

    def end(self) -> None:
        """Kill it. Idempotent."""
        self.process.kill()
        self.process.wait()

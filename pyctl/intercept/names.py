"""The names of a workload's ports, and the mark that tells them from anybody else's.

In: pid, interface. Out: interface names of at most 15 bytes, and the alias text. I/O:
none. The alias holds what a restarted agent must know, since a name of 15 bytes cannot.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

MARK = "segctl "
NAME_MAX = 15
_DIGEST = 4


def port_names(pid: int, interface: str, other: str = "") -> tuple[str, str]:
    """Return (vex, vin): `vex<pid hex>-<interface>`; a hash replaces the end of a name that is too long. Any
    text in `other` gives other names, for when these are taken.
    """
    return _name("vex", pid, interface, other), _name("vin", pid, interface, other)


def _name(role: str, pid: int, interface: str, other: str) -> str:
    head = f"{role}{pid:x}-"
    raw = interface.encode(errors="surrogateescape")
    if len(head) + len(raw) <= NAME_MAX and raw.isascii() and not other:
        return head + interface
    digest = hashlib.sha256(raw + other.encode()).hexdigest()[:_DIGEST]
    room = NAME_MAX - len(head) - _DIGEST
    start = raw[:room].decode("ascii", errors="ignore") if room > 0 else ""
    return f"{head}{start}{digest}"[:NAME_MAX]


@dataclass(frozen=True)
class Mark:
    """The mark on a link of the enforcer namespace: whose port it is."""

    port: int
    pid: int
    start: int
    netns: tuple[int, int]
    cookie: int
    interface: str
    index: int
    kind: str
    host_mac: str | None

    def is_of(self, netns: tuple[int, int], cookie: int) -> bool:
        """Return whether the mark names that network namespace, whichever of its processes it has."""
        return self.netns == netns and self.cookie == cookie

    def text(self) -> str:
        """Return the mark as a link alias."""
        return MARK + json.dumps(list(asdict(self).values()), separators=(",", ":"))


def read_mark(alias: str) -> Mark | None:
    """Return the mark that Mark.text wrote; None for an alias that is not ours."""
    if not alias.startswith(MARK):
        return None
    try:
        port, pid, start, netns, *rest = json.loads(alias[len(MARK) :])
        return Mark(port, pid, start, (netns[0], netns[1]), *rest)
    except (ValueError, TypeError, IndexError, KeyError):
        return None

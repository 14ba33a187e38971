"""TCP ports on which a network namespace listens.

In: a pid. Out: ports. I/O: /proc/PID/net/tcp and tcp6 (proc(5)). They tell the engine which side of a
connection that was open before the attach is the server.
"""

from __future__ import annotations

from pathlib import Path

_TCP_LISTEN = "0A"


def listening_ports(pid: int) -> tuple[int, ...]:
    """Sorted, both families together; empty where the process is gone."""
    ports = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _slot, local, _remote, state = line.split()[:4]
            if state == _TCP_LISTEN:
                ports.add(int(local.rpartition(":")[2], 16))
    return tuple(sorted(ports))

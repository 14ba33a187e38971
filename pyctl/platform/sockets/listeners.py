"""TCP ports on which a network namespace listens.

In: a process. Out: ports. I/O: its namespace's sockets. They tell the engine which side of a connection that
was open before the attach is the server.
"""

from __future__ import annotations

from pyctl.errors import SegctlError
from pyctl.model.workload import ProcessRef
from pyctl.platform.netns import entered
from pyctl.platform.process import netns_of
from pyctl.platform.sockets.tcp import LISTEN, tcp_ports


def listening_ports(process: ProcessRef) -> tuple[int, ...]:
    """Return the ports sorted, both families together; empty if the process is gone."""
    try:
        with netns_of(process) as fd, entered(fd):
            return tuple(sorted({local for local, _ in tcp_ports(LISTEN)}))
    except (OSError, SegctlError):
        return ()

"""A veth: its peer is at the host, alone or a bridge's port."""

from __future__ import annotations

from pyctl.intercept.kinds.base import Kind
from pyctl.model.workload import Port
from pyctl.platform.netlink import links


class Veth(Kind):
    """The kind veth, of which our own interfaces are too."""

    name = links.VETH

    def offload_model(self, port: Port) -> str:
        """Return vex, which has what its owner asked for."""
        return port.vex

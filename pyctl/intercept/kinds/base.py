"""What the splice asks of a kind of interface.

In: a Link as it was, a Port. Out: facts, messages. I/O: none.
"""

from __future__ import annotations

from pyctl.model.workload import PEER_KINDS, Port
from pyctl.platform.netlink import links
from pyctl.platform.netlink.client import Message
from pyctl.platform.netlink.links import Link


class Kind:
    """A kind of interface: where its own class says nothing else, a device on top of another one."""

    name = ""
    """The kernel's word (IFLA_INFO_KIND)."""
    vex_flags = 0
    """The flags that vex needs to hear all that is for the workload."""

    @property
    def has_peer(self) -> bool:
        """Whether Link.link is its other end, and no lower device. Only a peer has a MAC and a bridge for the
        workload alone, lends vin its index, and is led to by bpf_redirect_peer (PortPair.redirect_peer).
        """
        return self.name in PEER_KINDS

    def offload_model(self, port: Port) -> str:
        """Return the port that shows which offloads our veth has by itself: vin, a new veth too. Those of
        another kind of device mean something else.
        """
        return port.vin

    def home_messages(
        self, index: int, link: Link
    ) -> tuple[list[Message], list[Message]]:
        """Return what makes the one that came home as `link` was: what must be, and what may be refused. The
        MTU may: a lower device ends it at its own, which may be smaller by now.
        """
        # One by one: what the kernel refuses of these must not leave it nameless.
        must = [
            links.set_message(index, rename=link.name),
            links.set_message(index, mac=link.mac),
            links.set_message(index, txqlen=link.txqlen, group=link.group),
        ]
        return must, [links.set_message(index, mtu=link.mtu)]

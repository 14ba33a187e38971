"""What the splice asks of a kind of interface.

In: a Link as it was, a Port. Out: facts, messages. I/O: none.
"""

from __future__ import annotations

from pyctl.model.workload import PEER_KINDS, Port
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import Message


class Kind:
    """A kind of interface. The methods fit a device on top of another one; subclasses change them."""

    name = ""
    """The kernel's word (IFLA_INFO_KIND)."""
    vex_flags = 0
    """The flags that vex needs to hear all that is for the workload."""

    @property
    def has_peer(self) -> bool:
        """Return whether Link.link is the interface's other end and no lower device. Only a peer has a MAC
        and a bridge for the workload alone, and can be reached by bpf_redirect_peer (PortPair.redirect_peer).
        """
        return self.name in PEER_KINDS

    def offload_model(self, port: Port) -> str:
        """Return the port whose offloads our veth copies: vin, a veth that is new as well. Offloads of
        another kind of device mean something else.
        """
        return port.vin

    def home_messages(
        self, index: int, link: Link
    ) -> tuple[list[Message], list[Message]]:
        """Return the messages that make the returned interface what `link` was: those that must succeed, and
        those that may fail. The MTU may: a lower device limits it to its own, which may be smaller by now.
        """
        # One message each, so that a refused setting does not leave the interface nameless.
        must = [
            links.set_message(index, rename=link.name),
            links.set_message(index, mac=link.mac),
            links.set_message(index, txqlen=link.txqlen, group=link.group),
        ]
        return must, [links.set_message(index, mtu=link.mtu)]

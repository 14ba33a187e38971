"""On which of the host's bridges a workload's interface is: there a MAC says who sends.

In: an instance, ports. Out: a number of the bridge by port, what is known of each bridge. I/O: rtnetlink in the
enforcer's namespace and in those of the host peers.
Of routed interfaces and of macvlans nothing is told: the first hear the host alone, the second whatever is on
their parent's wire.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from pyctl.errors import NotFoundError
from pyctl.intercept.kinds.choose import kind_of
from pyctl.intercept.survey.peer import netns_numbered
from pyctl.model.instance import Instance
from pyctl.model.workload import Port, Segment
from pyctl.platform import netns
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink

Namespace = tuple[int, int]
"""(st_dev, st_ino)."""


@dataclass(frozen=True)
class Found:
    """The segments that were found, and which port is on which."""

    by_port: dict[int, int] = field(default_factory=dict)
    segments: dict[int, Segment] = field(default_factory=dict)

    def located(self, port: Port) -> Port:
        """Return the port with the segment that it is on."""
        number = self.by_port.get(port.port_id, 0)
        closed = number in self.segments and self.segments[number].closed
        return replace(port, segment=number, closed=closed)


def read_segments(
    instance: Instance,
    ports: Iterable[Port],
    watch: Callable[[Namespace, int], None],
) -> Found:
    """Return the segments of the ports that exist. `watch` is called with each host namespace and a
    descriptor of it before it is read. NotFoundError without the enforcer's namespace.
    """
    found = Found()
    with contextlib.ExitStack() as stack:
        fd = stack.enter_context(netns.opened(instance.netns))
        nl = stack.enter_context(netns.raw_in(fd))
        there = {link.name: link for link in links.dump(nl)}
        peers: dict[int, dict[int, int]] = {}
        for port in ports:
            vex = there.get(port.vex)
            if vex and kind_of(vex.kind).has_peer and vex.link_nsid is not None:
                peers.setdefault(vex.link_nsid, {})[port.port_id] = vex.link
        for number, of_ports in peers.items():
            host = netns_numbered(nl, number, stack)
            if host is None:
                continue
            watch(netns.identity(host), host)
            with contextlib.suppress(NotFoundError), netns.raw_in(host) as far:
                known = {link.index: link for link in links.dump(far)}
                add_segments(found, netns.identity(host), known, of_ports)
    return found


def add_segments(
    found: Found,
    namespace: Namespace,
    known: Mapping[int, Link],
    peers: Mapping[int, int],
) -> None:
    """Add the segments of one host namespace, from its links by index and the peers' indexes by port."""
    for port_id, index in peers.items():
        peer = known.get(index)
        bridge = known.get(peer.master) if peer else None
        if bridge is None or bridge.kind != "bridge":
            continue
        number = segment_number(namespace, bridge.index)
        found.by_port[port_id] = number
        if number not in found.segments:
            members = [link for link in known.values() if link.master == bridge.index]
            found.segments[number] = Segment(
                frozenset(link.mac for link in (bridge, *members)),
                closed=all(kind_of(link.kind).has_peer for link in members),
            )


def segment_of(nl: RawNetlink, link: Link) -> int:
    """Return the number of the bridge at the host's side of an interface that is not spliced; 0: none."""
    if not kind_of(link.kind).has_peer or link.link_nsid is None:
        return 0
    with contextlib.ExitStack() as stack:
        host = netns_numbered(nl, link.link_nsid, stack)
        if host is None:
            return 0
        far = stack.enter_context(netns.raw_in(host))
        peer = links.by_index(far, link.link)
        bridge = links.by_index(far, peer.master) if peer and peer.master else None
        if bridge is None or bridge.kind != "bridge":
            return 0
        return segment_number(netns.identity(host), bridge.index)


def segment_number(namespace: Namespace, bridge: int) -> int:
    """Return a number above 0 that is the same for the same bridge in every agent."""
    text = f"{namespace} {bridge}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest()) or 1

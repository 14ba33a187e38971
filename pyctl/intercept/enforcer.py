"""The enforcer's network namespace: made mute, with the bridge pair in it.

In: an Instance. Out: nothing, or the pair's MTU. I/O: the namespace, rtnetlink,
sysctls.

It is made mute before any device exists; otherwise vex sends MLD, DAD and router solicitations to the host,
and vin to the workload. With IPv6 off, no IPv4 address, ARP off and forwarding off, a frame that no filter
takes ends in this stack without an answer, so vth-neuv needs no drop filter of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from dataclasses import dataclass

from pyctl.errors import NotFoundError
from pyctl.intercept import gso
from pyctl.intercept.names import read_mark
from pyctl.model.instance import Instance
from pyctl.platform import netns, sysctl
from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import IprouteClient, iproute_at, iproute_in
from pyctl.platform.netlink.links import (
    IFF_LOOPBACK,
    IFF_MULTICAST,
    IFF_NOARP,
    VETH,
    Link,
)
from pyctl.platform.netlink.raw import NetlinkError

VBR, VTH = "vbr-neuv", "vth-neuv"
VBR_INDEX, VTH_INDEX = 10_000_000, 10_000_001
MTU_MIN, MTU_MAX = 2048, 65535
MUTE = {
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
    "ipv6/conf/all/forwarding": "0",
    "ipv4/conf/all/forwarding": "0",
    "ipv4/conf/default/forwarding": "0",
    "ipv4/conf/all/arp_ignore": "8",
    "ipv4/conf/default/arp_ignore": "8",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
}
_FLAGS = IFF_NOARP | IFF_MULTICAST


def mute() -> None:
    """Silence the namespace that the calling thread stands in."""
    for key, value in MUTE.items():
        # A kernel booted without IPv6 has no such file, and nothing to silence.
        if sysctl.read(key) not in (None, value):
            sysctl.write(key, value)


def ensure_enforcer(instance: Instance) -> None:
    """Make the namespace and the bridge pair, mute and up. Idempotent.

    Raises SegctlError where the namespace cannot be made, NetlinkError for the devices.
    """
    netns.create(instance.netns, mute)
    with netns.opened(instance.netns) as fd:
        # One that was made by hand is silenced too.
        with netns.entered(fd):
            mute()
        with iproute_in(fd) as ip:
            _ensure_pair(ip)
        with netns.entered(fd):
            gso.limit(VBR)


def _pair(ip: IprouteClient) -> list[Link]:
    """Return the pair's links that exist. They are asked for by name: a full node has thousands of links."""
    found = (links.by_name(ip, name) for name in (VBR, VTH))
    return [link for link in found if link]


def _ensure_pair(ip: IprouteClient) -> None:
    pair = _pair(ip)
    if len(pair) < 2:
        try:
            links.add_veth(ip, (VBR, VBR_INDEX), (VTH, VTH_INDEX), MTU_MIN, _FLAGS)
        except NetlinkError as error:
            if error.errno != errno.EEXIST:  # Another thread was faster.
                raise
        _fit_mtu(ip)
        pair = _pair(ip)
    for link in pair:
        if not (link.up and link.flags & IFF_NOARP):
            links.change(ip, link.index, up=True, flags=_FLAGS)


def fit_mtu(instance: Instance, at_least: int = 0) -> int:
    """Set the pair's MTU to the largest attached one (or `at_least`) and return it.

    The MTU is 2048 at least, 65535 at most; the engine's sockets stay. It is raised before a link is attached
    or grows, so the links are read only if the MTU may have to shrink.
    """
    with iproute_at(instance.netns) as ip:
        now = {link.mtu for link in _pair(ip)}
        least = min(MTU_MAX, max(MTU_MIN, at_least))
        if len(now) == 1 and (now == {least} or (at_least and min(now) > least)):
            return min(now)
        return _fit_mtu(ip, at_least)


def _fit_mtu(ip: IprouteClient, at_least: int = 0) -> int:
    found = links.dump(ip)
    attached = [link.mtu for link in found if read_mark(link.alias)]
    wanted = min(MTU_MAX, max(MTU_MIN, at_least, *attached))
    for link in found:
        if link.name in (VBR, VTH) and link.mtu != wanted:
            links.change(ip, link.index, mtu=wanted)
    return wanted


@dataclass(frozen=True)
class Cut:
    """The reason why nothing goes through the pair."""

    why: str
    only_down: bool = False
    """It stands, and needs to be set up."""


def cut(instance: Instance) -> Cut | None:
    """Return what is wrong with the pair; None if it exists and is up."""
    with iproute_at(instance.netns) as ip:
        ends = {link.name: link for link in _pair(ip)}
    for name, index, other in (
        (VBR, VBR_INDEX, VTH_INDEX),
        (VTH, VTH_INDEX, VBR_INDEX),
    ):
        link = ends.get(name)
        if link is None:
            return Cut(f"{name} was gone, or had another name")
        found = (link.kind, link.index, link.link, link.link_nsid)
        if found != (VETH, index, other, None):
            return Cut(f"another interface had the name {name}")
    down = [link.name for link in ends.values() if not link.up]
    return Cut(f"{' and '.join(down)} was down", only_down=True) if down else None


def remove_pair(instance: Instance) -> None:
    """Delete the links that have the pair's names or indexes. Idempotent."""
    with iproute_at(instance.netns) as ip:
        found = [links.by_name(ip, name) for name in (VBR, VTH)]
        named = {link.index for link in found if link}
        for index in sorted({VBR_INDEX, VTH_INDEX, *named}):
            links.delete(ip, index)


def foreign_devices(instance: Instance, indexes: Collection[int]) -> dict[int, str]:
    """Return the devices of these indexes that are neither of the pair nor anybody's port, with their names."""
    if not indexes:
        return {}
    with iproute_at(instance.netns) as ip:
        found = [link for index in indexes if (link := links.by_index(ip, index))]
    return {
        link.index: link.name
        for link in found
        if not (
            link.index in (VBR_INDEX, VTH_INDEX)
            or link.flags & IFF_LOOPBACK
            or read_mark(link.alias)
        )
    }


def remove_enforcer(instance: Instance) -> None:
    """Remove the namespace with the pair. Idempotent.

    The caller must refuse if ports are left: a vex in it dies with its workload's network.
    """
    try:
        with iproute_at(instance.netns) as ip:
            pair = links.by_name(ip, VBR)
            if pair:
                links.delete(ip, pair.index)
    except NotFoundError:
        pass
    netns.remove(instance.netns)


def is_enforcer(instance: Instance, netns_id: tuple[int, int]) -> bool:
    """Return whether this namespace is the instance's own."""
    try:
        found = instance.netns.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == netns_id

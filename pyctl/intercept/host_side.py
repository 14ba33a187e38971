"""What the host does at its side of the cable reaches the workload, as without us.

In: a port. Out: what was done, in words. I/O: rtnetlink in the enforcer's namespace and the workload's.
vex sees the host's side: its carrier goes with the host peer or the macvlan's parent, and a parent takes its
macvlans' MTU down with its own. vin, the peer of the workload's eth0, passes both on. A veth's end has an MTU
of its own: the ports have the workload's. This needs an agent: a carrier that comes back without one stays away
until an agent starts.
"""

from __future__ import annotations

from pyctl.intercept.attach import handles, marked_netns
from pyctl.intercept.detach import our_link
from pyctl.intercept.names import read_mark
from pyctl.model.instance import Instance
from pyctl.model.workload import Port
from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import iproute_at
from pyctl.platform.netlink import links as raw_links
from pyctl.platform.netlink.links import Link


def follow_host(instance: Instance, port: Port) -> tuple[str, ...]:
    """Give the workload's interface vex's carrier, and an MTU not larger than vex's. Idempotent.

    A vex that is down was set so on purpose and tells nothing about the host. NetlinkError, NotFoundError.
    """
    with iproute_at(instance.netns) as ip:
        vex, vin = links.by_name(ip, port.vex), links.by_name(ip, port.vin)
        if vex is None or vin is None or not vex.up:
            return ()
        done = []
        if vin.up != vex.carrier:
            links.change(ip, vin.index, up=vex.carrier)
            now = "has a carrier again" if vex.carrier else "has no carrier any more"
            done.append(f"{port.interface} {now}, as its host's side")
    if vex.mtu < vin.mtu:
        _shrink(instance, port, vex)
        done.append(f"{port.interface} has MTU {vex.mtu} by now, as its host's side")
    return tuple(done)


def _shrink(instance: Instance, port: Port, vex: Link) -> None:
    with marked_netns(read_mark(vex.alias)) as fd:
        if fd is None:
            return
        with handles(instance, fd) as ends:
            link = our_link(ends, port)
            if link and link.mtu > vex.mtu:
                raw_links.set_link(ends.workload, link.index, mtu=vex.mtu)
            vin = raw_links.by_name(ends.enforcer, port.vin)
            if vin:
                raw_links.set_link(ends.enforcer, vin.index, mtu=vex.mtu)

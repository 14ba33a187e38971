"""What IPv6 routers announced to a workload they go on renewing and withdrawing, while it is spliced and after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests import packets
from tests.lab.datapath.splice import Rig
from tests.lab.pace import wait_for

HIGH, LOW = 1, 3
"""As an advertisement has its preference."""
ROUTERS = {"fe80::aa:1": HIGH, "fe80::aa:2": LOW}
PREFIX, FAR = packets.nodad_ip6.removesuffix("1") + "/64", packets.world_net_ip6
SMALLER_MTU = 1400
ADVERTISE = """
import ipaddress, socket, struct, sys
interface, router, preference, life, valid, prefix, far, mtu = sys.argv[1:]
index, preference, life, valid = socket.if_nametoindex(interface), int(preference) << 3, int(life), int(valid)
prefix, far = ipaddress.ip_network(prefix), ipaddress.ip_network(far)
said = struct.pack("!BBHBBHII", 134, 0, 0, 61, preference, life, 0, 0)
said += struct.pack("!BBBBIII16s", 3, 4, prefix.prefixlen, 0xC0, valid, valid, 0, prefix.network_address.packed)
said += struct.pack("!BBBBI16s", 24, 3, far.prefixlen, preference, valid, far.network_address.packed)
said += struct.pack("!BBHI", 5, 1, 0, int(mtu))
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    raw.bind((router, 0, 0, index))
    raw.sendto(said, ("ff02::1", 0, 0, index))
"""


@dataclass(frozen=True)
class Link:
    """The pod and its routers, all on the host's bridge."""

    rig: Rig
    bridge: str

    def advertise(self, life: int, valid: int, *routers: str) -> None:
        """Each says that it is a router for `life` seconds, and its prefixes there for `valid`."""
        for router in routers or ROUTERS:
            told = (router, ROUTERS[router], life, valid, PREFIX, FAR, SMALLER_MTU)
            self.rig.host.run(
                sys.executable, "-c", ADVERTISE, self.bridge, *map(str, told)
            )

    def defaults(self) -> list[tuple[str, str]]:
        """(gateway, preference) of each default route, in the order in which they are used."""
        found = self.rig.pod.ip("-6", "route", "show", "default")
        return [(route["gateway"], route["pref"]) for route in found]

    def lifetimes(self) -> list[int]:
        """Of the address that the prefix gave, of the route to the prefix, of those to what lies behind."""
        entry = self.rig.pod.ip("-6", "addr", "show", "dev", "eth0", "to", PREFIX)
        left = [
            it["valid_life_time"] for at in entry if at for it in at["addr_info"] if it
        ]
        for net in (PREFIX, FAR):
            routes = self.rig.pod.ip("-6", "route", "show", net)
            left += [int(route.get("expires", 0)) for route in routes]
        return left


@pytest.fixture
def link(rig: Rig) -> Link:
    """Name: link. Scope: function. Depends: rig. Two routers have spoken; one was set by hand before."""
    (bridge,) = {link["master"] for link in rig.host.ip("link") if "master" in link}
    for router in ROUTERS:
        rig.host.run(
            *("ip", "addr", "add", f"{router}/64", "dev", bridge),
            *("nodad", "noprefixroute"),
        )
    rig.pod.sysctl("ipv6/conf/eth0/accept_ra_rt_info_max_plen", 64)
    found = Link(rig, bridge)
    found.advertise(1800, 2000)
    wait_for(lambda: len(found.lifetimes()) == 4)
    return found


def stay(link: Link) -> Callable[[], None]:
    """Splice and unsplice: the second time it is told by the mark alone whose these routes are."""
    port = link.rig.splice()
    return lambda: link.rig.unsplice(port)


@pytest.mark.parametrize("detached", [False, True], ids=["spliced", "unspliced"])
def test_routers_renew_and_withdraw_what_they_announced(
    link: Link, *, detached: bool
) -> None:
    before = link.defaults()
    assert {"high", "low"} <= {preference for _, preference in before}
    unsplice = stay(link)
    if detached:
        unsplice()
    assert link.defaults() == before
    assert [1900 < left <= 2000 for left in link.lifetimes()] == [True] * 4
    mtu = link.rig.pod.run("cat", "/proc/sys/net/ipv6/conf/eth0/mtu").stdout
    assert int(mtu) == SMALLER_MTU
    link.advertise(1800, 9000)
    wait_for(lambda: all(left > 8000 for left in link.lifetimes()))
    assert link.defaults() == before
    link.advertise(0, 0)
    given = [hop for hop in before if hop[0] not in ROUTERS]
    wait_for(lambda: link.defaults() == given)
    wait_for(lambda: len(link.lifetimes()) <= 1)


def test_one_that_is_set_behind_them_is_not_used_before_them(link: Link) -> None:
    pod, ((first, _), *_) = link.rig.pod, link.defaults()
    assert first not in ROUTERS
    pod.run("ip", "-6", "route", "del", "default", "via", first)
    pod.run(
        *("ip", "-6", "route", "append", "default", "dev", "eth0"),
        *("via", "fe80::aa:3", "metric", "1024"),
    )
    order = link.defaults()
    stay(link)()
    assert link.defaults() == order

"""Many containers, made as quickly as a runtime makes one: namespaces without names, a process in each.

Depends on: root. Their interfaces hang on bridges of one host namespace of their own: a kernel's bridge
has at most 1024 ports, and a runtime's networks are smaller, so there are several. All of a bridge's
interfaces are made by one `ip`, each container's own by one more.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from tests import packets
from tests.lab.net.netns import Lab, Netns, bridge
from tests.lab.pace import wait_for

PER_BRIDGE = 250


@dataclass
class Member(Netns):
    """One of the crowd: what `attach --pid` is told of. Its namespace ends with its processes."""

    number: int = 0

    @property
    def path(self) -> str:
        """Where it is found: it has no name."""
        return f"/proc/{self.pid}/ns/net"

    def is_apart(self, home: int) -> bool:
        """Whether its process stands in a namespace of its own."""
        return Path(self.path).stat().st_ino != home


class Crowd:
    """Makes them; `host` has the bridges br0, br1 …"""

    def __init__(self, lab: Lab) -> None:
        self.host = lab.netns("crowd")
        whole = IPv4Network(f"{packets.crowd_ip4}/{packets.crowd_prefix_ip4}")
        self._networks = list(whole.subnets(new_prefix=24))
        self.members: list[Member] = []
        lab.undo.callback(self.close)

    def join(self, count: int, name: str = "crowd") -> list[Member]:
        """So many more, with an eth0 that works."""
        home = Path("/proc/self/ns/net").stat().st_ino
        first = len(self.members)
        for number in range(first, first + count):
            process = subprocess.Popen(
                ["unshare", "--net", "sleep", "infinity"], start_new_session=True
            )
            network = self._networks[number // PER_BRIDGE]
            address = str(network[number % PER_BRIDGE + 2])
            self.members.append(
                Member(f"{name}-{number}", process, address, number=number)
            )
        made = self.members[first:]
        wait_for(lambda: all(one.is_apart(home) for one in made), 60)
        wires = []
        for one in made:
            at, before = divmod(one.number, PER_BRIDGE)
            if not before:
                wires += bridge(f"{self._networks[at][1]}/24", name=f"br{at}")
            wires += [
                f"link add to{one.number} type veth peer name eth0 netns {one.pid}",
                f"link set to{one.number} master br{at} up",
            ]
        self.host.batch(*wires)
        for one in made:
            one.batch(
                "link set lo up",
                f"addr add {one.address}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {self._networks[one.number // PER_BRIDGE][1]}",
            )
        return made

    def know_each_other(self) -> None:
        """Give each the others' MACs for good: all namespaces of a machine share one ARP cache, which has room for
        some 1,000 entries that are learned."""
        macs = {one.number: one.ip("link", "show", "eth0")[0] for one in self.members}
        for one in self.members:
            one.batch(
                *(
                    f"neigh replace {other.address} lladdr {macs[other.number]['address']} nud permanent dev eth0"
                    for other in self.members
                    if other is not one
                )
            )

    def close(self) -> None:
        """End them all: first each is told, then waited for."""
        for one in self.members:
            one.kill()
        for one in self.members:
            one.destroy()

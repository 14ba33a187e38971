"""Network namespaces and their wires: random names, made and removed by the lab alone.

Depends on: root; `scripts/test` runs everything in private mount and network namespaces
(`unshare --mount --net`), so that even a killed run leaves nothing on the host.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Self

from pyctl.platform import netns
from tests import packets
from tests.lab.pace import LabError, wait_for
from tests.lab.processes import call, must, undisturbed

IFA_F_TENTATIVE = 0x40
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NAMED = Path("/run/netns")


@dataclass
class Netns:
    """One namespace with a process that holds it: what segctl sees as a container."""

    name: str
    holder: subprocess.Popen[bytes] | None = None
    """None: it is somebody else's, and nobody of ours lives in it."""
    address: str = ""
    """Its IPv4 address, where it has one only."""
    children: list[subprocess.Popen[Any]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Of the process that lives in it."""
        if self.holder is None:
            raise LabError(f"nobody lives in {self.name}")
        return self.holder.pid

    @property
    def path(self) -> str:
        """Where it is found."""
        return str(NAMED / self.name)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread stands inside meanwhile, and so does what it starts: a program less than
        with nsenter, of which emulated machines have many."""
        with netns.opened(self.path) as fd, netns.entered(fd):
            yield

    def run(
        self, *argv: str | Path, check: bool = True, seconds: float = 30, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run to its end inside; output captured as text."""
        with self.inside():
            return (must if check else call)(*argv, seconds=seconds, **options)

    def batch(self, *lines: str) -> None:
        """Commands of `ip`, one after the other in one process."""
        self.run("ip", "-batch", "-", input="\n".join(lines), seconds=300)

    def spawn(self, *argv: str | Path, **options: Any) -> subprocess.Popen[Any]:
        """Start inside; ended with the namespace."""
        with self.inside():
            child = subprocess.Popen(argv, start_new_session=True, **options)
        self.children.append(child)
        return child

    def ip(self, *argv: str) -> list[dict[str, Any]]:
        """`ip -j -d ARGV` inside, parsed."""
        out = self.run("ip", "-j", "-d", *argv).stdout.strip()
        return json.loads(out) if out else []

    def index(self, name: str) -> int:
        """Of an interface."""
        with self.inside():
            return socket.if_nametoindex(name)

    def settled(self, name: str) -> bool:
        """Whether an interface has its link-local address, and none that is tentative."""
        if self.sysctl(f"ipv6/conf/{name}/disable_ipv6") == "1":
            return True
        with self.inside():
            words = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
        flags = [int(line.split()[4], 16) for line in words if line.split()[5] == name]
        return bool(flags) and not any(one & IFA_F_TENTATIVE for one in flags)

    def sysctl(self, key: str, value: str | int | None = None) -> str:
        """Read (and first write, where a value is given) /proc/sys/net/KEY inside."""
        path = Path("/proc/sys/net", key)
        with self.inside():
            if value is not None:
                path.write_text(f"{value}\n")
            return path.read_text().strip()

    def kill(self) -> None:
        """Tell its processes to end, as bad as it comes."""
        for process in self._processes:
            process.kill()

    def destroy(self) -> None:
        """End its processes, remove its name. Idempotent."""
        self.kill()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
        netns.remove(NAMED / self.name)

    @property
    def _processes(self) -> list[subprocess.Popen[Any]]:
        return [*self.children, *([self.holder] if self.holder else [])]


def _prepare() -> None:
    """A new namespace, from inside: loopback up, DAD off by default."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from(
            "=h", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked), 16
        )
        fcntl.ioctl(
            any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP)
        )
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0\n")


GATEWAYS = (
    f"{packets.gateway_ip4}/{packets.prefix_ip4}",
    f"{packets.gateway_ip6}/{packets.prefix_ip6}",
)


def bridge(*gateways: str, name: str = "br0", mac: str = "") -> list[str]:
    """Return `ip`'s commands for a host's bridge with these addresses."""
    return [
        f"link add {name} {f'address {mac}' if mac else ''} type bridge",
        *(f"addr add {one} dev {name} {_nodad(one)}" for one in gateways),
        f"link set {name} up",
    ]


def pod_bridge() -> list[str]:
    """Return the commands for the one with the gateways of the pods of tests/packets.py."""
    return bridge(*GATEWAYS, mac=packets.gateway_mac)


def _nodad(address: str) -> str:
    return "nodad" if ":" in address else ""


class Lab:
    """Makes namespaces and wires them; a context manager that takes away all that was made in it, and
    what `undo` was told of."""

    def __init__(self, kind: str = "segt") -> None:
        self.tag = f"{kind}-{secrets.token_hex(3)}"
        self.undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with undisturbed():
            self.undo.close()

    @cached_property
    def folder(self) -> Path:
        """For files, until the end."""
        made = Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))
        self.undo.callback(shutil.rmtree, made, ignore_errors=True)
        return made

    def netns(self, role: str) -> Netns:
        """A namespace `TAG-ROLE` with loopback up and DAD off by default."""
        name = f"{self.tag}-{role}"
        with undisturbed():
            netns.create(NAMED / name, _prepare)
            with netns.opened(NAMED / name) as fd, netns.entered(fd):
                holder = subprocess.Popen(["sleep", "infinity"], start_new_session=True)
            ns = Netns(name, holder)
            self.undo.callback(ns.destroy)
        return ns

    def veth(
        self, left: Netns, left_if: str, right: Netns, right_if: str, /, **mac: str
    ) -> None:
        """A veth pair between two namespaces, both ends up. mac: left=…, right=…"""
        left_mac = ["address", mac["left"]] if "left" in mac else []
        right_mac = ["address", mac["right"]] if "right" in mac else []
        left.run(
            *("ip", "link", "add", left_if, *left_mac, "up", "type", "veth"),
            *("peer", "name", right_if, *right_mac, "netns", right.name),
        )
        right.run("ip", "link", "set", right_if, "up")
        wait_for(lambda: left.settled(left_if) and right.settled(right_if))

    def pod(
        self,
        role: str,
        host: Netns,
        port: str,
        *addresses: str,
        via: tuple[str, ...],
        **mac: str,
    ) -> Netns:
        """A namespace whose eth0 hangs on the host's br0 by `port`: these addresses with their prefixes,
        and default routes by way of `via`, of which a prefix is ignored. mac: left=…"""
        pod = self.netns(role)
        self.veth(pod, "eth0", host, port, **mac)
        host.run("ip", "link", "set", port, "master", "br0")
        pod.batch(
            *(f"addr add {one} dev eth0" for one in addresses),
            *(f"route add default via {ip_interface(one).ip}" for one in via),
        )
        pod.address = str(ip_interface(addresses[0]).ip)
        return pod

    def pods(self, count: int = 2) -> tuple[Netns, list[Netns]]:
        """The shape Docker makes: a host with bridge br0 (gateway addresses) and `count` pods
        whose eth0 hangs on it; pods have IPv4 and IPv6 addresses and default routes."""
        host = self.netns("host")
        host.batch(*pod_bridge())
        return host, [
            self.pod(
                *(f"pod{number}", host, f"veth{number}"),
                *(f"{ip4}/{packets.prefix_ip4}", f"{ip6}/{packets.prefix_ip6}"),
                via=GATEWAYS,
                left=mac,
            )
            for number, (ip4, ip6, mac) in enumerate(packets.pods[:count])
        ]

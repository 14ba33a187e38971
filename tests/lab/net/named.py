"""Names and what they stand for: dnsmasq on the host, a server behind every address, a client that looks up.

The client asks as any program does, by getaddrinfo: its resolv.conf names dnsmasq alone. A connection that is not
open before its first SYN would be sent again counts as failed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests import packets
from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program
from tests.lab.pace import patient, wait_for

PORT = 8080
RESOLVERS = (packets.gateway_ip4, packets.gateway_ip6)
NETS = (packets.world_net_ip4, packets.world_net_ip6)

_ANY_SERVER = """
import threading
def serve(listener):
    while True:
        talk = listener.accept()[0]; threading.Thread(target=echo, args=(talk,), daemon=True).start()
def echo(talk):
    try:
        while data := talk.recv(4096): talk.sendall(data)
    except OSError: pass
    talk.close()
for ip in ("0.0.0.0", "::"):
    listener = socket.socket(family(ip)); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ip == "::": listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((ip, int(sys.argv[1]))); listener.listen(512)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
say(ready=True); time.sleep(600)
"""

# One line each: `look NAME`, `open NAME-OR-ADDRESS` (both at once), `keep ADDRESS`, `talk` on what is kept.
_CLIENT = """
import ctypes
conf, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert libc.mount(None, b"/", None, 0x44000, None) == 0
assert libc.mount(conf.encode(), b"/etc/resolv.conf", None, 4096, None) == 0
say(ready=True); kept = None
def look(name):
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [one[4][0] for one in found]
def connect(ip):
    talk = socket.socket(family(ip)); talk.settimeout(seconds); talk.connect((ip, port)); return talk
for line in sys.stdin:
    word, *rest = line.split()
    try:
        if word == "look": say(found=look(*rest))
        elif word == "open": ip = look(*rest)[0]; connect(ip).close(); say(open=True, ip=ip)
        elif word == "pairs":
            failed = []; looked = connected = 0.0
            for number in range(int(rest[1]), int(rest[2])):
                name = rest[0].replace("N", str(number)); start = time.monotonic()
                try: ip = look(name)[0]; found = time.monotonic(); connect(ip).close()
                except OSError as error: failed.append([name, repr(error)]); continue
                looked += found - start; connected += time.monotonic() - found
            say(failed=failed, looked=looked, connected=connected)
        elif word == "keep": kept = connect(*rest); say(open=True)
        elif word == "drop": kept.close(); say(open=False)
        elif word == "talk": kept.sendall(b"x"); say(open=kept.recv(1) == b"x")
    except OSError as error: say(open=False, error=repr(error))
"""


def serve_world(host: Netns, *nets: str) -> Program:
    """Let the host have every address of the world's networks and these, with an echo server at PORT behind each."""
    for net in (*NETS, *nets):
        host.run("ip", "route", "add", "local", net, "dev", "lo")
    server = Program(host, _ANY_SERVER, str(PORT))
    server.heard()
    return server


def dnsmasq(
    host: Netns,
    folder: Path,
    names: Mapping[str, Iterable[str]],
    *options: str,
    ttl: int = 60,
    resolvers: tuple[str, ...] = RESOLVERS,
) -> subprocess.Popen[bytes]:
    """Start dnsmasq at these of the host's addresses; it knows `names` with their addresses when this returns."""
    hosts = folder / "hosts"
    lines = [f"{ip} {name}\n" for name, ips in names.items() for ip in ips]
    hosts.write_text("".join(lines))
    process = host.spawn(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv"),
        *(
            "--no-hosts",
            "--pid-file=",
            "--user=root",
            f"--addn-hosts={hosts}",
            f"--local-ttl={ttl}",
        ),
        *("--bind-interfaces", *(f"--listen-address={one}" for one in resolvers)),
        *options,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _answers(host, resolvers[0])
    return process


_UNBOUND = """
server:
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  verbosity: 0
  module-config: "iterator"
"""


def unbound(
    host: Netns, folder: Path, names: Mapping[str, Iterable[str]]
) -> subprocess.Popen[bytes]:
    """Start unbound at the host's addresses; it knows `names` with their addresses when this returns."""
    lines = [f"  interface: {one}\n" for one in RESOLVERS]
    lines += [f"  access-control: {net} allow\n" for net in ("0.0.0.0/0", "::/0")]
    lines += [f'  local-zone: "{name}." transparent\n' for name in names]
    lines += [
        f'  local-data: "{name}. 60 {"AAAA" if ":" in ip else "A"} {ip}"\n'
        for name, ips in names.items()
        for ip in ips
    ]
    conf = folder / "unbound.conf"
    conf.write_text(_UNBOUND + "".join(lines))
    process = host.spawn(
        *("unbound", "-d", "-c", str(conf)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _answers(host, RESOLVERS[0])
    return process


def _answers(host: Netns, resolver: str) -> None:
    asked = ("dig", "+time=1", "+tries=1", f"@{resolver}", "version.bind", "txt")
    wait_for(lambda: host.run(*asked, "chaos", check=False).returncode == 0, 10)


class Client:
    """A program in a workload that looks names up and connects, when told to."""

    def __init__(
        self, pod: Netns, folder: Path, *options: str, resolver: str = RESOLVERS[0]
    ) -> None:
        """Start it in the pod, its resolv.conf with these options."""
        conf = folder / f"{pod.name}.resolv"
        conf.write_text(
            f"nameserver {resolver}\noptions timeout:2 attempts:2 {' '.join(options)}\n"
        )
        # A SYN is sent again after a second.
        argv = (str(conf), str(PORT), str(patient(0.9)))
        self._program = Program(pod, _CLIENT, *argv)
        self._program.heard()

    def look(self, name: str) -> list[str]:
        """Return the name's addresses, or [] where it has none or nobody answers."""
        return list(self._program.said(f"look {name}").get("found", ()))

    def opens(self, name: str) -> bool:
        """Look the name, or the address, up and return whether a connection opens."""
        return bool(self._program.said(f"open {name}")["open"])

    def pairs(self, pattern: str, first: int, end: int) -> dict[str, Any]:
        """Look up and connect for each number in the place of N; return what `failed`, and the seconds that it
        `looked` and `connected`."""
        return self._program.said(f"pairs {pattern} {first} {end}")

    def keep(self, ip: str) -> bool:
        """Open a connection and keep it."""
        return bool(self._program.said(f"keep {ip}")["open"])

    def talk(self) -> bool:
        """Return whether the connection that is kept still answers."""
        return bool(self._program.said("talk")["open"])

    def drop(self) -> None:
        """Close the connection that is kept."""
        self._program.said("drop")


def numbered(net: str, first: int, count: int) -> list[str]:
    """Return so many addresses of a network."""
    base = ip_address(net.partition("/")[0])
    return [str(base + first + number) for number in range(count)]

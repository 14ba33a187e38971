"""A datagram each millisecond, and its echo: what an application sees while a port is spliced.

Times are CLOCK_MONOTONIC's in seconds, which all processes of a machine share. Only a connected socket
is told of ICMP errors by the kernel.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass

from tests.lab.net.netns import Netns
from tests.lab.net.traffic import Program

_ERRORS = """
import errno, gc
gc.disable()
errors = []
def note(call, error):
    errors.append([time.monotonic(), call, errno.errorcode.get(error.errno or 0, "?")])
"""

_ECHO = (
    _ERRORS
    + """
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); sock.bind(("::", int(sys.argv[1])))
sock.setblocking(False); say(ready=True)
while sys.stdin not in (ready := select.select([sock, sys.stdin], [], [])[0]):
    call = "recvfrom"
    try:
        data, sender = sock.recvfrom(64); call = "sendto"; sock.sendto(data, sender)
    except BlockingIOError: pass
    except OSError as error: note(call, error)
say(errors=errors)
"""
)

_PULSE = (
    _ERRORS
    + """
port, targets = int(sys.argv[1]), json.loads(sys.argv[2])
to = {}
for kind, bound, address in targets:
    sock = socket.socket(family(address), socket.SOCK_DGRAM); sock.setblocking(False)
    if bound: sock.bind((bound, 0))
    if kind == "connected": sock.connect((address, port))
    to[sock] = None if kind == "connected" else (address, port)
echoes, sent, due = [], 0, time.monotonic(); say(ready=True)
while True:
    now = time.monotonic()
    if now >= due:
        due = max(due + 0.001, now)
        for sock, address in to.items():
            try: sock.sendto(b"pulse", address) if address else sock.send(b"pulse"); sent += 1
            except OSError as error: note("send", error)
    ready = select.select([*to, sys.stdin], [], [], max(0.0, due - now))[0]
    if sys.stdin in ready: break
    for sock in ready:
        try:
            while True: sock.recv(64); echoes.append(time.monotonic())
        except BlockingIOError: pass
        except OSError as error: note("recv", error)
say(sent=sent, echoes=echoes, errors=errors)
"""
)

Error = tuple[float, str, str]
"""(when, which call, the errno's name)"""
Window = tuple[float, float]


@dataclass(frozen=True)
class Seen:
    """What the sending application saw: when echoes came, and its errors."""

    sent: int
    echoes: list[float]
    errors: list[Error]

    def longest_gap_ms(self, window: Window) -> float:
        """The longest time between two echoes (or to the window's ends) in the window."""
        start, end = window
        inside = [start, *(at for at in self.echoes if start <= at <= end), end]
        pairs = itertools.pairwise(inside)
        return max(later - earlier for earlier, later in pairs) * 1000


class Echo:
    """Sends back what comes to a port, by IPv4 and IPv6."""

    def __init__(self, ns: Netns, port: int) -> None:
        self._program = Program(ns, _ECHO, str(port))
        self._program.heard()

    def stop(self) -> list[Error]:
        """End it, and return the errors that it met."""
        return [(at, call, name) for at, call, name in self._program.said("")["errors"]]


class Pulse:
    """Sends to each target: (connected or plain, address to bind to or "", address)."""

    def __init__(
        self, ns: Netns, port: int, targets: Iterable[tuple[str, str, str]]
    ) -> None:
        self._program = Program(ns, _PULSE, str(port), json.dumps(list(targets)))
        self._program.heard()

    def stop(self) -> Seen:
        """End it, and return what was seen."""
        return Seen(**self._program.said(""))

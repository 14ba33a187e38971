"""Very many open UDP flows between two namespaces, each answered once.

    bench_scale_flows.py echo FIRST-PORT PORTS
    bench_scale_flows.py open ADDRESS FIRST-PORT PORTS SOCKETS

PORTS times SOCKETS flows. `open` prints {"opened": N} once all are, and keeps its sockets until stdin
closes: a closed one would answer what is still on its way with an ICMP error. Standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import sys

PATIENCE_S = 0.3


def echo(first: int, count: int) -> None:
    poller = select.epoll()
    sockets = {}
    for port in range(first, first + count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("0.0.0.0", port))
        sock.setblocking(False)
        poller.register(sock, select.EPOLLIN)
        sockets[sock.fileno()] = sock
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, sender = sockets[fd].recvfrom(64)
                    sockets[fd].sendto(data, sender)


def open_all(address: str, first: int, ports: int, count: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kept = []
    opened = 0
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE_S)
        kept.append(sock)
        missing = set(range(first, first + ports))
        for _try in range(3):
            for port in missing:
                sock.sendto(b"flow", (address, port))
            with contextlib.suppress(TimeoutError):
                while missing:
                    missing.discard(sock.recvfrom(64)[1][1])
        opened += ports - len(missing)
    print(json.dumps({"opened": opened}), flush=True)
    sys.stdin.read()


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "echo":
        echo(int(rest[0]), int(rest[1]))
    else:
        open_all(rest[0], *map(int, rest[1:]))


if __name__ == "__main__":
    main()

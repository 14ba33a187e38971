"""Datagrams at a steady pace, and when each arrived: what comes after a policy denied their flow.

    bench_revoke.py receive PORT
    bench_revoke.py send ADDRESS PORT

`receive` prints the kernel's time of arrival (seconds since the epoch) of all, as JSON, on SIGTERM: not
when it came to read them. Standard library alone.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
import time

PAUSE_S = 0.0005
SO_TIMESTAMPNS = 35


class EndedError(Exception):
    """SIGTERM came."""


def end(*_: object) -> None:
    raise EndedError


def receive(port: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind(("0.0.0.0", port))
    print("ready", flush=True)
    arrived = []
    try:
        while True:
            _, about, _, _ = sock.recvmsg(64, 64)
            seconds, ns = struct.unpack("=qq", about[0][2][:16])
            arrived.append(seconds + ns / 1e9)
    except EndedError:
        json.dump(arrived, sys.stdout)


def send(address: str, port: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        while True:
            sock.sendto(b"still here", (address, port))
            time.sleep(PAUSE_S)
    except EndedError:
        return


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    what, *rest = sys.argv[1:]
    if what == "receive":
        receive(int(rest[0]))
    else:
        send(rest[0], int(rest[1]))


if __name__ == "__main__":
    main()

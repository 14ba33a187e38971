"""A UDP probe each millisecond, and its echo: what an application sees while a port is spliced.

    bench_probe.py echo PORT
    bench_probe.py send ADDRESS PORT

Both run until SIGTERM (or until stdin closes) and then print one JSON object with what they saw, in
CLOCK_MONOTONIC seconds, which all processes of a machine share: the sender `sent` (how many),
`echoes` (arrival times), `errors` ([time, call, errno name]); the echo its `errors`. Standard
library alone, started with `python -I -S`, so that it is light beside what it measures.
"""

from __future__ import annotations

import errno
import gc
import json
import select
import signal
import socket
import sys
import time

INTERVAL_S = 0.001
Errors = list[tuple[float, str, str]]


class EndedError(Exception):
    """SIGTERM came."""


def end(*_: object) -> None:
    raise EndedError


def note(errors: Errors, call: str, error: OSError) -> None:
    errors.append((time.monotonic(), call, errno.errorcode.get(error.errno or 0, "?")))


def echo(port: int) -> dict[str, object]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    errors: Errors = []
    try:
        while True:
            call = "recvfrom"
            try:
                data, sender = sock.recvfrom(64)
                call = "sendto"
                sock.sendto(data, sender)
            except OSError as error:
                note(errors, call, error)
    except EndedError:
        return {"errors": errors}


def send(address: str, port: int) -> dict[str, object]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # Connected: only so does the kernel tell an application of ICMP errors.
    sock.connect((address, port))
    sock.setblocking(False)
    errors: Errors = []
    echoes: list[float] = []
    sent = 0
    due = time.monotonic()
    try:
        while True:
            now = time.monotonic()
            if now >= due:
                due = max(due + INTERVAL_S, now)
                try:
                    sock.send(b"probe")
                    sent += 1
                except OSError as error:
                    note(errors, "send", error)
            ready, _, _ = select.select([sock], [], [], max(0.0, due - now))
            while ready:
                try:
                    sock.recv(64)
                    echoes.append(time.monotonic())
                except BlockingIOError:
                    break
                except OSError as error:
                    note(errors, "recv", error)
    except EndedError:
        return {"sent": sent, "echoes": echoes, "errors": errors}


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    gc.disable()
    what, *rest = sys.argv[1:]
    seen = echo(int(rest[0])) if what == "echo" else send(rest[0], int(rest[1]))
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()

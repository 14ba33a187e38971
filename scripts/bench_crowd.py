"""A host full of containers: so many namespaces with a process in each, on bridges of one host.

In: a lab, how many. Out: boxes. All of a bridge's interfaces are made by one `ip`, each container's by
one more; a kernel's bridge has at most 1024 ports, and Docker's networks are smaller, so there are
several. Their processes sleep; they end with the lab.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench_lab import BenchError, Box, Lab, wait_until

PER_BRIDGE = 250
NETWORK = "10.216"


def crowd(lab: Lab, count: int) -> list[Box]:
    """`count` boxes with an eth0 on a bridge of a host of their own."""
    host = lab.namespace("many-host")
    homes = {Path("/proc/self/ns/net").stat().st_ino}
    started = [
        subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], start_new_session=True
        )
        for _ in range(count)
    ]
    lab.undo.callback(_end, started)
    pids = [one.pid for one in started]
    wait_until(
        lambda: all(_netns(pid) not in homes for pid in pids),
        60,
        "a process of the crowd has no network namespace of its own",
    )
    _batch(("nsenter", f"--net={host.path}"), _wires(pids))
    boxes = []
    for number, pid in enumerate(pids):
        subnet, last = divmod(number, PER_BRIDGE)
        ip = f"{NETWORK}.{subnet}.{last + 2}"
        inside = (
            "link set lo up",
            f"addr add {ip}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {NETWORK}.{subnet}.1",
        )
        _batch(("nsenter", "-t", str(pid), "--net"), inside)
        boxes.append(Box(f"bench-crowd-{number}", ip, pid))
    return boxes


def _wires(pids: list[int]) -> Iterator[str]:
    for subnet in range(-(-len(pids) // PER_BRIDGE)):
        yield f"link add br{subnet} type bridge"
        yield f"addr add {NETWORK}.{subnet}.1/24 dev br{subnet}"
        yield f"link set br{subnet} up"
    for number, pid in enumerate(pids):
        name = f"to-{number}"
        yield f"link add {name} type veth peer name eth0 netns {pid}"
        yield f"link set {name} master br{number // PER_BRIDGE} up"


def _batch(enter: tuple[str, ...], lines: Iterator[str] | tuple[str, ...]) -> None:
    done = subprocess.run(
        [*enter, "ip", "-batch", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"wiring the crowd: {done.stderr.strip()[-300:]}")


def _netns(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError as error:
        raise BenchError(f"process {pid} of the crowd ended") from error


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for one in processes:
        one.send_signal(signal.SIGKILL)
    for one in processes:
        one.wait(timeout=30)

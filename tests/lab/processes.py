"""Commands that are run to their end, processes that are ended, and what a process uses.

All of them have sessions of their own: a terminal's ^C reaches the program that started them alone,
which then takes away what it has made.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab.pace import LabError, patient

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Take up signals that would end the program only afterwards: what was half made or half removed
    could not be given back. Python gives them to the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: waiting.append(number))
        for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if waiting:
            os.kill(os.getpid(), waiting[0])


def call(
    *argv: str | Path, seconds: float = 60, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is; LabError where it takes longer than `seconds`."""
    options = {"capture_output": True, "text": True, **options}
    try:
        return subprocess.run(
            argv,
            timeout=patient(seconds),
            check=False,
            start_new_session=True,
            **options,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{_line(argv)}: not done within {seconds} s") from error


def must(
    *argv: str | Path, seconds: float = 60, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; LabError in its own words where it fails."""
    done = call(*argv, seconds=seconds, **options)
    if done.returncode:
        said = (done.stderr or done.stdout or "").strip()[-400:]
        raise LabError(f"{_line(argv)}: exit {done.returncode}: {said}")
    return done


def _line(argv: tuple[str | Path, ...]) -> str:
    return " ".join(map(str, argv))[:400]


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process of ours to end, and make sure. Idempotent."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=patient(20))


def descriptors(pid: int) -> int:
    """Return how many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def proportional_size(pid: int) -> dict[str, float]:
    """Return the MB (10^6 bytes) of a process: its proportional set size, of which packet rings, its RSS."""
    kib = {"pss": 0, "rss": 0, "rings": 0}
    in_ring = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head, *rest = line.split()
        if not head.endswith(":"):
            in_ring = bool(rest) and rest[-1].startswith("socket:")
        elif head == "Pss:":
            kib["pss"] += int(rest[0])
            kib["rings"] += int(rest[0]) if in_ring else 0
        elif head == "Rss:":
            kib["rss"] += int(rest[0])
    return {key: value * 1024 / 1e6 for key, value in kib.items()}

"""Commands that the demo runs. A ^C waits until the command of the moment is done: what was half
made or half removed could not be given back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end the demo are taken up again at the end."""
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
    *argv: str,
    text: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end. In a session of its own: the terminal's ^C is for the demo alone."""
    with undisturbed():
        return subprocess.run(
            argv,
            input=text,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,
        )


def must(
    *argv: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; SystemExit in its own words where it fails."""
    done = call(*argv, environment=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv[:4])} failed: {done.stderr.strip()}")
    return done


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and make sure."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
    if process.poll() is None:
        process.kill()
        process.wait(timeout=5)


def background(
    argv: Sequence[str],
    undo: contextlib.ExitStack,
    log: Path | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start it, out of reach of the terminal's ^C; `undo` ends it."""
    with undisturbed(), contextlib.ExitStack() as files:
        out = files.enter_context(log.open("w")) if log else None
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        undo.callback(end, process)
    return process

"""Starts the engine's process so that it outlives whoever starts it.

In: an instance. Out: a client of a process that answers. I/O: a process, a log file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from pyctl.engine.client import EngineClient
from pyctl.errors import SegctlError, UnreachableError
from pyctl.model.instance import Instance
from pyctl.model.worker import ALONE, Worker
from pyctl.signal_shield import signal_shield

START_SECONDS = 30.0
"""A busy or emulated machine may need this long; usually the engine answers within a second."""
_POLL_SECONDS = 0.01
_TAIL_BYTES = 2000


def start_engine(
    instance: Instance,
    *,
    log_level: str = "info",
    flow_cache: bool = True,
    worker: Worker = ALONE,
    timeout: float = START_SECONDS,
) -> EngineClient:
    """Start an engine of the instance in a session of its own; return when it answers.

    It has no rings and no policies yet, so it judges nothing. It is a child of the caller, who
    reaps it should it end first. Raises SegctlError, with the end of the log, where it does not
    come up.
    """
    instance.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pyctl.engine", "--instance", instance.name]
    command += ["--log-level", log_level]
    command += ["--worker", str(worker.number), "--workers", str(worker.of)]
    if not flow_cache:
        command.append("--no-cache")
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    log = instance.engine_file(worker, "log")
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # Not subprocess: its object wants to be the only one that waits for the child.
    pid = signal_shield(
        lambda: os.posix_spawn(
            sys.executable,
            command,
            {**os.environ, "PYTHONPATH": path, "MALLOC_ARENA_MAX": "2"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(log), log_flags, 0o600),
            ],
            setsid=True,
        ),
        undo=_kill,
    )
    try:
        client = EngineClient(instance.engine_file(worker, "sock"))
        return _wait_until_it_answers(client, log, pid, timeout)
    except BaseException:
        _kill(pid)
        raise


def _kill(pid: int) -> None:
    """Kill and reap the child, unless it is reaped already: then the pid may be another's."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _wait_until_it_answers(
    client: EngineClient, log: Path, pid: int, timeout: float
) -> EngineClient:
    deadline = time.monotonic() + timeout
    ended = (0, 0)
    while ended == (0, 0) and time.monotonic() < deadline:
        try:
            if client.hello()["pid"] == pid:
                return client
        except UnreachableError:
            pass
        client.close()
        time.sleep(_POLL_SECONDS)
        ended = os.waitpid(pid, os.WNOHANG)
    what = f"it ended with {os.waitstatus_to_exitcode(ended[1])}"
    if ended == (0, 0):
        what = "no answer in time"
    raise SegctlError(
        f"starting the engine: {what}",
        state="no engine was left behind",
        advice=f"its last words: {_tail(log)}",
    )


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError as error:
        return str(error)

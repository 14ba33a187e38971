"""The agent's process: started in the background where a command needs it, and ended.

In: an instance and a request. Out: the answer. I/O: spawns `segctl agent run`, the agent's socket,
its log, a lock file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pyctl.api.client import AgentClient, Answer
from pyctl.errors import SegctlError, UnreachableError
from pyctl.free_space import is_full
from pyctl.model.instance import Instance
from pyctl.platform.process import cpu_seconds
from pyctl.signal_shield import signal_shield

STEP_S = 45.0
"""Seconds for one step of its start in which neither it nor what it started gets on (the agent logs a line for
each step): more than the engine may take to answer. Loading the programs takes longest: under a second, much more
on a busy or an emulated machine, where it gets a small part of a processor."""
BUSY_S = 1.0
"""Seconds of processor time that are progress: who waits for something uses less in STEP_S."""
START_S = 600.0
"""Seconds for all steps: a workload that keeps the processors busy must not keep the agent from starting."""
STOP_DEADLINE_S = 30.0
_POLL_S = 0.02
_CPU_EACH_S = 1.0
"""Seconds between two looks at the processor time."""
_TAIL_LINES = 12


def with_agent(
    instance: Instance, ask: Callable[[AgentClient], Answer], *, keep: bool = True
) -> Answer:
    """Return the answer to `ask`; if no agent runs, one is started first.

    With keep=False (a dry run) an agent that was started here is ended again.
    """
    client = AgentClient(instance)
    try:
        return ask(client)
    except UnreachableError as error:
        if not _nobody_there(error):
            raise
    ours = start_agent(instance)
    try:
        return ask(client)
    finally:
        if ours and not keep:
            stop_agent(client)


def stop_agent(client: AgentClient, *, detach: bool = False) -> Answer:
    """Ask the agent to end and wait until it has; raise SegctlError where it does not."""
    pid = int(client.status()["pid"])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError as error:
        raise SegctlError(f"the agent (pid {pid}) ended by itself meanwhile") from error
    try:
        answer = client.stop(detach=detach)
        if not select.select([process], [], [], STOP_DEADLINE_S)[0]:
            raise SegctlError(
                f"the agent (pid {pid}) was asked to end {STOP_DEADLINE_S:g} s ago",
                state="it still runs",
                advice=f"see {client.instance.log_file}",
            )
    finally:
        os.close(process)
    return answer


def start_agent(
    instance: Instance,
    argv: tuple[str, ...] = (sys.executable, "-m", "pyctl.cli.main", "agent", "run"),
    step_s: float = STEP_S,
) -> bool:
    """Spawn `argv` in a session of its own and wait, as long as its log grows, until the agent's socket
    answers. Return whether the agent that answers was started here.

    If somebody else is starting an agent, wait for that one: a second agent would be refused.
    Raise SegctlError with the end of its log where it ends or is not ready in time (it is ended then).
    A ^C ends the started agent, so that the host is as it was: only this command wanted it.
    Workloads attached before stay steered, as an agent that ends leaves them.
    """
    try:
        instance.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SegctlError(
            f"starting the agent: {error}",
            state="nothing was attached or detached",
            errno=error.errno,
        ) from error
    with _one_starter(instance.run_dir / "start.lock"):
        if _answering(instance):
            return False
        with _log_of(instance) as log:
            begin = log.tell()
            try:
                child = signal_shield(lambda: _spawn(argv, log), undo=_end)
            except KeyboardInterrupt as error:
                raise _interrupted("was ended") from error
        patience = _Patience(
            instance.log_file, step_s, cpu_s=lambda: cpu_seconds(child.pid)
        )
        try:
            while not (pid := _answering(instance)):
                if child.poll() is not None and not _other_runs(instance):
                    raise _failed(instance, begin, f"it ended with {child.returncode}")
                if why := patience.ends():
                    raise _failed(instance, begin, f"{why}; it {_end(child)}")
                time.sleep(_POLL_S)
        except KeyboardInterrupt as error:
            raise _interrupted(_end(child)) from error
        ours = pid == child.pid
        # The agent outlives this process: there is no child to wait for.
        child.returncode = 0
        return ours


class _Patience:
    """How long to wait for an agent: each line in its log is a step, after which it gets as long again; so it does
    as long as it or its children use the processor, within `whole_s` seconds in all.
    """

    def __init__(
        self,
        log: Path,
        step_s: float,
        whole_s: float = START_S,
        clock: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._log = log
        self._cpu_s, self._used = cpu_s, cpu_s()
        self._step_s, self._whole_s = step_s, whole_s
        self._clock = clock
        self._size = log.stat().st_size
        self._began = self._stepped = self._looked = clock()

    def ends(self) -> str:
        """Return why the agent is not waited for any longer; empty while it is."""
        now, size = self._clock(), self._log.stat().st_size
        if size != self._size:
            self._size, self._stepped = size, now
        if now - self._looked >= _CPU_EACH_S:
            self._looked, used = now, self._cpu_s()
            if abs(used - self._used) >= BUSY_S:
                # Less, where a child has ended and another has not begun.
                self._used, self._stepped = used, now
        if now - self._began > self._whole_s:
            return f"it was not ready within {self._whole_s:g} s"
        if now - self._stepped > self._step_s:
            return f"it was not ready within {self._step_s:g} s after its last step, nor busy"
        return ""


def _log_of(instance: Instance) -> BinaryIO:
    """Open the agent's log, readable by root alone: it names whose packets were denied."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.fdopen(os.open(instance.log_file, flags, 0o600), "ab")
    # An earlier version may have made it readable by all.
    os.fchmod(log.fileno(), 0o600)
    return log


def _spawn(argv: tuple[str, ...], log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env={**os.environ, "PYTHONPATH": _path_with_us()},
        start_new_session=True,
        umask=0o077,
    )


def _interrupted(what_became_of_it: str) -> SegctlError:
    return SegctlError(
        f"interrupted while the agent was starting in the background: it {what_became_of_it}",
        state="nothing was attached or detached",
    )


def _end(child: subprocess.Popen[bytes]) -> str:
    """Ask the agent to end, which it can at any moment of its start; wait, and return what became of it."""
    if child.poll() is not None:
        return "is another command's, and goes on"
    child.terminate()
    try:
        child.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        return f"was asked to end, but runs still (pid {child.pid})"
    return "was ended"


def _other_runs(instance: Instance) -> bool:
    """Return whether an agent holds the instance: one that is not ours, and does not answer yet."""
    try:
        lock = os.open(instance.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _path_with_us() -> str:
    """Return a PYTHONPATH with which the agent runs from this command's tree, installed or not."""
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join(
        [str(Path(__file__).parents[3]), *([before] if before else [])]
    )


def _answering(instance: Instance) -> int:
    """Return the pid of the agent that answers; 0: none, or one that breaks the connection off because it
    ends.
    """
    try:
        return int(AgentClient(instance, timeout=5).status()["pid"])
    except UnreachableError:
        return 0


def _nobody_there(error: UnreachableError) -> bool:
    return error.errno in {errno.ENOENT, errno.ECONNREFUSED}


@contextmanager
def _one_starter(path: Path) -> Iterator[None]:
    """Hold a lock, so that of two commands at once the second finds the agent that the first started."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _failed(instance: Instance, begin: int, how: str) -> SegctlError:
    with instance.log_file.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    said = "\n  ".join(lines) or "(nothing)"
    if is_full(instance.run_dir):
        return SegctlError(
            f"the agent was started in the background, but {how}: no space is left for "
            f"{instance.run_dir} (ENOSPC). Its last words:\n  {said}",
            state="nothing was attached or detached",
            advice="make room on that file system",
            errno=errno.ENOSPC,
        )
    return SegctlError(
        f"the agent was started in the background, but {how}. Its last words:\n  {said}",
        state="nothing was attached or detached",
        advice=f"the whole log is {instance.log_file}; "
        "`segctl doctor` says what this host lacks",
    )

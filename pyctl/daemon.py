"""The agent process: one lock, one Agent, one API server. The composition root.

In: an instance. Out: a process that serves Instance.api_socket until SIGTERM, SIGINT or /v1/stop.
It stands above agent and api, so that neither has to know the other's start.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import structlog
import uvicorn

from pyctl import abi
from pyctl.agent.agent import Agent
from pyctl.agent.config import read, with_workers
from pyctl.api.peer import PeerProtocol
from pyctl.api.server import create_app
from pyctl.api.v1.metrics import serve as serve_metrics
from pyctl.errors import NotPermittedError, RefusedError
from pyctl.model.instance import Instance
from pyctl.platform.heap import limit_malloc_arenas, trim
from pyctl.telemetry import logs

_log = structlog.get_logger()
_PATIENCE_S = 1.0
_ENDING_S = 30.0
"""Seconds that another agent may take until it has ended, or answers."""
_POLL_S = 0.02
_DESCRIPTORS = 1 << 18
"""Two for each of up to 65535 workloads; the usual limit (1024) suffices for 500."""


def run(
    instance: Instance,
    *,
    config_file: Path | None = None,
    log_level: str = "info",
    log_format: str = "json",
    flow_cache: bool = True,
    metrics: tuple[str, int] | None = None,
    workers: int | None = None,
) -> None:
    """Serve until told to end, with so many engines (None: as the configuration says). Raise NotPermittedError without root; RefusedError where an agent of this
    instance runs already; SegctlError where the node cannot be made ready.
    """
    if os.geteuid() != 0:
        raise NotPermittedError(
            "starting the agent", state="nothing was touched", advice="run it as root"
        )
    abi.require_current()
    logs.configure(log_level, log_format)
    # What every thread is doing, into the log: the first question about one that hangs.
    faulthandler.register(signal.SIGUSR1)
    # A request to end during the start, too, must leave nothing half done.
    signal.signal(signal.SIGTERM, _exit_by_signal)
    _make_room()
    limit_malloc_arenas()
    _log.info("starting: nothing is touched yet", pid=os.getpid())
    _be_the_only_one(instance)
    config = read(config_file or instance.config_file, must_exist=bool(config_file))
    if workers is not None:
        config = with_workers(config, workers)
    agent = Agent(instance, config, flow_cache=flow_cache)
    try:
        agent.start()
        trim()
        end_metrics = serve_metrics(agent, *metrics) if metrics else lambda: None
        try:
            _serve(agent, instance)
        finally:
            end_metrics()
    finally:
        agent.stop()
        _abandon_requests(sys.exc_info()[1])


def _make_room() -> None:
    """Raise the limit of descriptors to what a full node needs, as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _exit_by_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _be_the_only_one(instance: Instance) -> None:
    """Take the instance's lock until the process ends: while any of its threads works, no other agent starts.
    Wait for an agent that is ending; raise RefusedError if one answers.
    """
    instance.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(instance.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _ENDING_S
    while not _locked(lock):
        if _answers(instance.api_socket) or time.monotonic() > deadline:
            os.close(lock)
            raise RefusedError(
                f"starting a second agent of instance {instance.name}",
                state="the first one goes on",
                advice="`segctl agent status` shows it; SEGCTL_INSTANCE names another",
            )
        time.sleep(_POLL_S)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(path: Path) -> bool:
    """Return whether an agent takes requests there; one that is starting, or ending, does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _abandon_requests(error: BaseException | None) -> None:
    """End the process at once where requests are still running, so that whoever waits for its end, and the
    next agent, need not wait for them.
    """
    deadline = time.monotonic() + _PATIENCE_S
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive() and (error is None or isinstance(error, SystemExit)):
                _log.warning("ended while requests were at work")
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(error.code if error and isinstance(error.code, int) else 0)


def _listen(instance: Instance) -> socket.socket:
    """Return the API's listening socket, for root alone: directory and socket both have such modes."""
    path = instance.api_socket
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def _serve(agent: Agent, instance: Instance) -> None:
    server: uvicorn.Server

    def end() -> None:
        server.should_exit = True

    app = create_app(agent, end)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=PeerProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
    )
    # uvicorn raises the signal that ended it once more: that is no failure, `systemctl stop` says it so.
    signal.signal(signal.SIGTERM, lambda *_: end())
    with _listen(instance) as listener:
        server.run(sockets=[listener])
    instance.api_socket.unlink(missing_ok=True)

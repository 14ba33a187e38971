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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn

from pyctl.agent import logs
from pyctl.agent.agent import Agent
from pyctl.agent.config import read
from pyctl.api.metrics import serve as serve_metrics
from pyctl.api.peer import PeerProtocol
from pyctl.api.server import create_app
from pyctl.errors import NotPermittedError, RefusedError
from pyctl.model.instance import Instance
from pyctl.platform.heap import few_arenas, trim

_log = structlog.get_logger()
_DESCRIPTORS = 1 << 18
"""Two for each workload, and port ids for 65535 of them: what is usual (1024) ends at 500."""


def run(
    instance: Instance,
    *,
    config_file: Path | None = None,
    log_level: str = "info",
    log_format: str = "json",
    flow_cache: bool = True,
    metrics: tuple[str, int] | None = None,
) -> None:
    """Serve until told to end. NotPermittedError without root; RefusedError where an agent of
    this instance runs already; SegctlError where the node cannot be made ready.
    """
    if os.geteuid() != 0:
        raise NotPermittedError(
            "starting the agent", state="nothing was touched", advice="run it as root"
        )
    logs.configure(log_level, log_format)
    # What every thread is doing, into the log: the first question about one that hangs.
    faulthandler.register(signal.SIGUSR1)
    # Also while it starts, a request to end must leave nothing half done.
    signal.signal(signal.SIGTERM, _exit_by_signal)
    _make_room()
    few_arenas()
    with _only_one(instance):
        config = read(config_file or instance.config_file, must_exist=bool(config_file))
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


def _make_room() -> None:
    """As many descriptors as a full node needs, as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _exit_by_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


@contextmanager
def _only_one(instance: Instance) -> Iterator[None]:
    instance.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with instance.lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                f"starting a second agent of instance {instance.name}",
                state="the first one goes on",
                advice="`segctl agent status` shows it; SEGCTL_INSTANCE names another",
            ) from error
        yield


def _listen(instance: Instance) -> socket.socket:
    """The API's socket, root's alone: the directory and the socket both say so."""
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
    with _listen(instance) as listener:
        server.run(sockets=[listener])
    instance.api_socket.unlink(missing_ok=True)

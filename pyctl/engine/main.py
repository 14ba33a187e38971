"""The engine's process from start to end.

In: an instance. Out: exit code. I/O: the lock and the control socket in the instance's run
directory, the pins, stderr; the dp protocol's socket where asked for. It needs no namespace: the
rings it is handed are bound already.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import structlog

from pyctl.engine.dp.dispatch import Dispatcher
from pyctl.engine.dp.server import DpServer
from pyctl.engine.process import log
from pyctl.engine.process.engine import Engine
from pyctl.engine.process.requests import Requests
from pyctl.engine.process.server import Server
from pyctl.engine.rings import open_rings
from pyctl.errors import RefusedError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.worker import ALONE, Worker


@contextmanager
def _only_one(instance: Instance, worker: Worker) -> Iterator[None]:
    """Hold the lock of the instance's one living engine of that number; it goes with the process."""
    path = instance.engine_file(worker, "lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                f"starting a second engine of instance {instance.name}",
                state="another one is running, and goes on",
                advice=f"stop it first, or see who holds {path}",
            ) from error
        yield
    finally:
        os.close(fd)


def run(
    instance: Instance,
    *,
    log_level: str = "info",
    cache: bool = True,
    with_rings: bool = False,
    dp_socket: Path | None = None,
    worker: Worker = ALONE,
) -> int:
    """Run an engine of the instance until it is stopped; return 0 if it ended cleanly.

    `with_rings`: open the rings in the instance's namespace at once, instead of waiting for an
    agent to hand them over (`segctl engine`). `dp_socket`: serve NeuVector's dp protocol there;
    then the instance's namespace may be absent, and ctrl_add_srvc_port opens the rings in the
    namespace that the process stands in. Raises SegctlError where it cannot start.
    """
    log.configure(log_level)
    logger = structlog.get_logger()
    instance.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _only_one(instance, worker), Engine(cache=cache, worker=worker) as engine:
        requests = Requests(engine, instance)
        try:
            requests.open_maps()
        except SegctlError as error:
            # Pins of another layout: whoever made them may repair them and ask again.
            logger.warning("maps refused", error=str(error))
        server = Server(instance.engine_file(worker, "sock"), requests)
        if with_rings and (dp_socket is None or instance.netns.exists()):
            engine.set_rings(open_rings(instance.netns).fds)
        dp = (
            DpServer(dp_socket, Dispatcher(engine, log_level=log_level))
            if dp_socket
            else nullcontext()
        )
        with dp:
            logger.info(
                "engine ready", instance=instance.name, pid=os.getpid(), cache=cache
            )
            server.serve()
        logger.info("engine ends", **engine.stats())
    return 0

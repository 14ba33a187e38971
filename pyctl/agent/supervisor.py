"""Keeps one engine alive, and holds the packet rings that outlive it.

In: the instance. Out: an EngineClient whenever one is needed. The rings are opened here and lent to
the engine, so frames wait in them while a dead engine is replaced; a restarted agent asks the living
engine for them back. A new engine is taught all policies before it gets the rings: it never judges a
frame without knowing the rules.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import structlog

from pyctl import abi
from pyctl.engine.client import EngineClient
from pyctl.engine.launch import start_engine
from pyctl.engine.rings import RingSet, open_rings
from pyctl.errors import SegctlError, UnreachableError
from pyctl.model.instance import Instance

_log = structlog.get_logger()


class Supervisor:
    """`on_new_engine` is called with a fresh engine connected, before it reads its first frame."""

    def __init__(self, instance: Instance, *, flow_cache: bool = True) -> None:
        self._instance = instance
        self._flow_cache = flow_cache
        self._client: EngineClient | None = None
        self._rings: RingSet | None = None
        self.pid: int | None = None
        self.restarts = 0
        self.log_level = "info"
        self.on_new_engine: Callable[[], None] = lambda: None

    @property
    def client(self) -> EngineClient:
        """The connection to the living engine; UnreachableError where there is none."""
        if self._client is None:
            raise UnreachableError("no engine is running")
        return self._client

    def start(self) -> None:
        """Find the engine that an earlier agent left, or start one. Idempotent."""
        if self._client is not None:
            return
        if not self._adopt():
            self._launch()

    def _adopt(self) -> bool:
        client = EngineClient(self._instance.engine_socket)
        try:
            hello = client.hello()
        except UnreachableError:
            client.close()
            return False
        if hello["abi"] != abi.HASH:
            _log.warning(
                "engine of another version", pid=hello["pid"], abi=hello["abi"]
            )
            client.stop()
            client.close()
            _await_end(hello["pid"])
            return False
        self._rings = client.take_rings()
        self._client, self.pid = client, hello["pid"]
        _log.info("found a running engine", pid=self.pid)
        return True

    def _launch(self) -> None:
        if self._rings is None:
            self._rings = open_rings(self._instance.netns)
        self._client = start_engine(
            self._instance, log_level=self.log_level, flow_cache=self._flow_cache
        )
        self.pid = self._client.hello()["pid"]
        self.on_new_engine()
        self._client.give_rings(self._rings)
        _log.info("engine started", pid=self.pid)

    def tell(self, what: Callable[[EngineClient], object]) -> None:
        """Call the engine. One that does not answer is replaced, and the new one is taught what
        is desired by now, which includes what was to be told.
        """
        if self._client is None:
            return
        try:
            what(self._client)
        except UnreachableError as error:
            _log.warning("engine does not answer", error=str(error), pid=self.pid)
            self.replace()

    def replace(self) -> None:
        """End the engine, if it lives, and start another. Frames wait in the rings meanwhile."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self.pid is not None:
            _end(self.pid, signal.SIGKILL)
            self.pid = None
        self.restarts += 1
        self._launch()

    def alive(self) -> bool:
        """Whether the engine's process exists."""
        return self.pid is not None and _exists(self.pid)

    def stop(self) -> None:
        """End the engine and give up the rings. Idempotent."""
        if self._client is not None:
            try:
                self._client.stop()
            except SegctlError as error:
                _log.debug("engine was gone", error=str(error))
            self._client.close()
            self._client = None
        if self.pid is not None:
            _await_end(self.pid)
            self.pid = None
        self.release()

    def release(self) -> None:
        """Let go without ending the engine, which keeps rings of its own."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._rings is not None:
            self._rings.close()
            self._rings = None


def _exists(pid: int) -> bool:
    try:
        finished, _status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Another agent started it: nobody here reaps it, so look at it.
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return finished == 0


def _end(pid: int, signal_number: int) -> None:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return
    _await_end(pid)


def _await_end(pid: int, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while _exists(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)

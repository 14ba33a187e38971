"""The dp protocol's socket and its thread.

In: a path, a Dispatcher. Out: replies, to the address that the sender's socket is bound to; a line
in the log for every datagram that cannot be done. I/O: a unix datagram socket of mode 0600, since
who can send to it decides what passes.

A thread of its own: a listing waits for its reader, and the engine's other socket must not.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from pyctl.engine.dp.dispatch import Dispatcher
from pyctl.engine.dp.messages import MAX_DATAGRAM
from pyctl.errors import RefusedError, SegctlError

SEND_SECONDS = 2
_TIMEVAL = struct.Struct("@ll")


class DpServer:
    """The server of the dp protocol on `path`, from the start of the context to its end."""

    def __init__(self, path: Path, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._log = structlog.get_logger()
        self._path = path
        self._socket = _bound(path)
        self._file = _file(path)
        self._ending = False
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="dp", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._log.info("dp protocol served", path=str(self._path))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        self._stop.close()
        self._thread.join()
        # Our file may have been removed, and another engine's may be there now.
        if _file(self._path) == self._file:
            self._path.unlink(missing_ok=True)
        self._socket.close()
        self._stopped.close()

    def _serve(self) -> None:
        wait = select.poll()
        wait.register(self._socket, select.POLLIN)
        wait.register(self._stopped, select.POLLIN)
        while True:
            ready = {fd for fd, _ in wait.poll()}
            if self._stopped.fileno() in ready:
                return
            # A log that nobody reads any more must not end this thread either.
            with contextlib.suppress(OSError, ValueError):
                self._serve_told()

    def _serve_told(self) -> None:
        try:
            self._serve_one()
        except SegctlError as error:
            self._log.warning("dp request refused", error=str(error))
        except Exception:  # noqa: BLE001 see below
            # Whatever a datagram does to Python, the packet thread must live on.
            self._log.exception("dp request crashed")

    def _serve_one(self) -> None:
        try:
            data, _, flags, sender = self._socket.recvmsg(
                MAX_DATAGRAM, 0, socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        if flags & socket.MSG_TRUNC:
            self._log.warning(
                "dp request refused", error=f"more than {MAX_DATAGRAM} bytes"
            )
            return
        for reply in self._dispatcher.handle(data):
            # A slow reader must not delay the end.
            if self._ending:
                return
            if not sender:
                self._log.warning("dp reply dropped", error="its asker has no address")
                return
            try:
                self._socket.sendto(reply, sender)
            except OSError as error:
                # It is gone, or did not read for SEND_SECONDS: the rest is for nobody.
                self._log.warning(
                    "dp reply dropped", to=os.fsdecode(sender), error=str(error)
                )
                return


def _bound(path: Path) -> socket.socket:
    """Return a socket bound there; RefusedError if somebody else serves, or the path is no socket."""
    _make_room(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # The kernel's own timeout, since Python's would spin: it takes our buffer for the reader's.
    timeout = _TIMEVAL.pack(SEND_SECONDS, 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise SegctlError(
            f"serve the dp protocol at {path}: {error.strerror or error}",
            state="the engine was not started",
            advice="--dp-socket names another path",
            errno=error.errno,
        ) from error
    finally:
        os.umask(before)
    return made


def _file(path: Path) -> tuple[int, int] | None:
    """Return the identity of the file at the path; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_room(path: Path) -> None:
    """Remove the socket that a dead engine left; RefusedError if the path is anything else."""
    try:
        found = path.lstat()
    except OSError:
        # Nothing is there, or the path is impossible: bind tells which.
        return
    if stat.S_ISSOCK(found.st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
            try:
                asked.connect(str(path))
            except ConnectionRefusedError:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                return
            except OSError:
                # A socket of another kind is somebody else's.
                pass
    raise RefusedError(
        f"serve the dp protocol at {path}",
        state="another process serves there, or it is no socket; nothing was touched",
        advice="--dp-socket names another path",
    )

"""Containers of a daemon that speaks Docker's API: Docker itself, or Podman's service.

In: the path of a unix socket. Out: Container, ids of those that start. I/O: that socket, through the
Docker SDK (imported at the first question: it takes longer to load than everything else of an
attach).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyctl.errors import SegctlError
from pyctl.runtime.base import Container, Known, Unreachable, container_of, known_of

if TYPE_CHECKING:
    from docker import APIClient

TIMEOUT_S = 5


class DockerApi:
    """A container daemon with Docker's API behind a unix socket."""

    def __init__(self, socket: Path, runtime: str) -> None:
        self.socket = socket
        self.runtime = runtime
        """`docker` or `podman`: whose socket it is."""

    @property
    def place(self) -> str:
        """Return the URL of the daemon's socket."""
        return f"unix://{self.socket}"

    def find(self, reference: str) -> Container | None:
        """Return a running container by name or id prefix; errors as in base.Runtime."""
        with self._connected() as client:
            from docker.errors import APIError, NotFound  # noqa: PLC0415  see above

            try:
                found = client.inspect_container(reference)
                return container_of(found, self.runtime, self.place)
            except NotFound:
                return None
            except APIError as error:
                raise SegctlError(
                    f"{self.runtime} was asked for container {reference}: "
                    f"{error.explanation}",
                    state="nothing was touched",
                    advice="give the whole name or more of the id",
                ) from error

    def running(self) -> list[str]:
        """Return the whole ids of all running containers; errors as in base.Runtime."""
        with self._connected() as client:
            return [str(one["Id"]) for one in client.containers()]

    def known(self) -> list[Known]:
        """Return all containers, running or not; errors as in base.Runtime."""
        with self._connected() as client:
            from docker.errors import NotFound  # noqa: PLC0415  see above

            found = []
            for one in client.containers(all=True):
                # It may be gone by now.
                with contextlib.suppress(NotFound):
                    said = client.inspect_container(one["Id"])
                    found.append(known_of(said, self.runtime, self.place))
            return found

    @contextlib.contextmanager
    def starts(self) -> Iterator[_Starts]:
        """Yield a stream of starts and renames; errors as in base.Runtime."""
        with self._connected() as client:
            stream = client.events(
                filters={"type": "container", "event": ["start", "rename"]},
                decode=True,
            )
            try:
                yield _Starts(stream)
            finally:
                _shut(stream)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[APIClient]:
        """Yield a client; raise Unreachable where the daemon does not answer, or breaks off."""
        if not self.socket.exists():
            raise Unreachable(f"{self.socket} does not exist")
        import docker  # noqa: PLC0415  see the module's docstring
        from docker.errors import DockerException  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415  what the SDK lets through

        try:
            client = docker.APIClient(
                base_url=self.place, version="auto", timeout=TIMEOUT_S
            )
        except (DockerException, RequestException, OSError) as error:
            raise Unreachable(
                f"{self.socket} does not answer ({_short(error)})"
            ) from error
        try:
            yield client
        except (DockerException, RequestException, OSError) as error:
            raise Unreachable(f"{self.socket} broke off ({_short(error)})") from error
        finally:
            client.close()


class _Starts:
    """The SDK's stream of events as ids."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        for event in self._stream:
            # Podman's service leaves out the short form.
            yield str(event.get("id") or event["Actor"]["ID"])

    def cancel(self) -> None:
        """End the iteration, from any thread. Idempotent."""
        _shut(self._stream)


def _shut(stream: Any) -> None:
    # The SDK looks for the socket inside of its own layers, which are gone once the stream ended.
    with contextlib.suppress(OSError, AttributeError):
        stream.close()


def _short(error: BaseException) -> str:
    """Return the innermost reason: the SDK wraps a refused connection five times."""
    found: BaseException = error
    while found.__cause__ or found.__context__:
        found = found.__cause__ or found.__context__ or found
    return str(found) or type(found).__name__

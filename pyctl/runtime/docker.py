"""Containers of a daemon that speaks Docker's API: Docker itself, or Podman's service.

In: the path of a unix socket. Out: Container. I/O: that socket, through the Docker SDK (imported
at the first question: it takes longer to load than everything else of an attach).
"""

from __future__ import annotations

from pathlib import Path

from pyctl.errors import SegctlError
from pyctl.runtime.base import Container, Unreachable, container_of

TIMEOUT_S = 5


class DockerApi:
    """A daemon behind a unix socket."""

    def __init__(self, socket: Path, runtime: str) -> None:
        self.socket = socket
        self.runtime = runtime
        """`docker` or `podman`: whose socket it is."""

    def find(self, reference: str) -> Container | None:
        """See base.Runtime."""
        if not self.socket.exists():
            raise Unreachable(f"{self.socket} does not exist")
        import docker  # noqa: PLC0415  see the module's docstring
        from docker import errors  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415  what the SDK lets through

        try:
            client = docker.APIClient(
                base_url=f"unix://{self.socket}", version="auto", timeout=TIMEOUT_S
            )
        except (errors.DockerException, RequestException, OSError) as error:
            raise Unreachable(
                f"{self.socket} does not answer ({_short(error)})"
            ) from error
        try:
            return container_of(client.inspect_container(reference), self.runtime)
        except errors.NotFound:
            return None
        except errors.APIError as error:
            raise SegctlError(
                f"{self.runtime} was asked for container {reference}: {error.explanation}",
                state="nothing was touched",
                advice="give the whole name or more of the id",
            ) from error
        except (errors.DockerException, RequestException, OSError) as error:
            raise Unreachable(f"{self.socket} broke off ({_short(error)})") from error
        finally:
            client.close()


def _short(error: BaseException) -> str:
    """The innermost reason: the SDK wraps a refused connection five times."""
    found: BaseException = error
    while found.__cause__ or found.__context__:
        found = found.__cause__ or found.__context__ or found
    return str(found) or type(found).__name__

"""Which container a name means, asking the runtimes in turn.

In: a name or the head of an id; where to ask. Out: Container. I/O: see docker, podman.
Order: the host that is named (argument, CONTAINER_HOST, DOCKER_HOST) and no other; else Docker's
socket, Podman's socket, the podman program. The first that knows the name answers. Only daemons on
this host make sense, since a pid is wanted: a URL that is not a unix socket is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyctl.errors import NotCapableError, NotFoundError, UsageError
from pyctl.runtime.base import Container, Runtime, Unreachable
from pyctl.runtime.docker import DockerApi
from pyctl.runtime.podman import PodmanProgram

DOCKER_SOCKET = Path("/var/run/docker.sock")
PODMAN_SOCKET = Path("/run/podman/podman.sock")
VARIABLES = ("CONTAINER_HOST", "DOCKER_HOST")


def resolve(
    reference: str,
    host: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Container:
    """Return the running container that `reference` names.

    Raise NotFoundError: the runtimes that answer do not know it. RefusedError: it does not run.
    NotCapableError: no runtime answers. UsageError: `host` is no unix socket.
    """
    return first_that_knows(reference, runtimes(host, environment))


def runtimes(
    host: str | None = None, environment: Mapping[str, str] = os.environ
) -> list[Runtime]:
    """Return the runtimes to ask, in order; raise UsageError where `host` is no unix socket."""
    named = [("--container-host", host)]
    named += [(variable, environment.get(variable)) for variable in VARIABLES]
    for origin, url in named:
        if url:
            return [_api(origin, url)]
    return [
        DockerApi(DOCKER_SOCKET, "docker"),
        DockerApi(PODMAN_SOCKET, "podman"),
        PodmanProgram(),
    ]


def at_place(place: str) -> Runtime:
    """Return the runtime that is asked at that place, as `Runtime.place` names it."""
    if place == PodmanProgram.place:
        return PodmanProgram()
    return _api("a container's runtime", place)


def configured(hosts: Sequence[str]) -> list[Runtime]:
    """Return the runtimes at these URLs; without URLs those of `runtimes`."""
    if not hosts:
        return runtimes()
    return [_api("container-hosts", host) for host in hosts]


def first_that_knows(reference: str, asked: Sequence[Runtime]) -> Container:
    """Return the container from the first of these runtimes that knows it; raise as `resolve` does."""
    silent = []
    for runtime in asked:
        try:
            found = runtime.find(reference)
        except Unreachable as error:
            silent.append(str(error))
            continue
        if found is not None:
            return found
    if len(silent) == len(asked):
        raise NotCapableError(
            f"container {reference} was sought, but no container runtime answers: "
            + "; ".join(silent),
            state="nothing was touched",
            advice="start the runtime, name its socket with --container-host, or use --pid",
        )
    not_asked = f" (not asked: {'; '.join(silent)})" if silent else ""
    raise NotFoundError(
        f"there is no container {reference}{not_asked}",
        state="nothing was touched",
        advice="see `docker ps` or `podman ps`",
    )


def _api(origin: str, url: str) -> Runtime:
    path = _socket(origin, url)
    return DockerApi(path, "podman" if "podman" in path.name else "docker")


def _socket(origin: str, url: str) -> Path:
    path = url.removeprefix("unix://")
    if path.startswith("/"):
        return Path(path)
    raise UsageError(
        f"{origin} is {url}, and only a unix socket of this host can be asked",
        state="nothing was touched",
        advice="give unix:///path/to/socket",
    )

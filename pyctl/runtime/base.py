"""What a container runtime tells, and what is asked of it.

In, out: values only. I/O: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pyctl.errors import RefusedError, SegctlError


@dataclass(frozen=True)
class Container:
    """A running container."""

    id: str
    """Whole, in hexadecimal."""
    name: str
    pid: int
    """Of its first process, as this host sees it."""
    runtime: str
    """`docker` or `podman`."""
    labels: dict[str, str] = field(default_factory=dict)
    image: str | None = None

    @property
    def short_id(self) -> str:
        """The twelve digits that people use."""
        return self.id[:12]


class Unreachable(Exception):  # noqa: N818  no failure: the next runtime is asked
    """This runtime does not answer; str() says where it was sought and why."""


class Starts(Protocol):
    """Containers as they start, or get another name: the iteration waits for the next, and ends with the
    runtime.
    """

    def __iter__(self) -> Iterator[str]:
        """Whole ids."""

    def cancel(self) -> None:
        """End the iteration, from any thread. Idempotent."""


class Runtime(Protocol):
    """One way to ask for containers."""

    runtime: str
    """`docker` or `podman`."""

    @property
    def place(self) -> str:
        """Where it is asked, for people."""

    def find(self, reference: str) -> Container | None:
        """The container with this name or head of an id; None where there is none.

        Raises Unreachable; RefusedError for one that does not run; SegctlError for an answer that
        is no answer (an ambiguous id).
        """

    def running(self) -> list[str]:
        """Whole ids of all that run. Raises Unreachable."""

    def starts(self) -> AbstractContextManager[Starts]:
        """What starts, or gets another name, from now on. Raises Unreachable, inside the context too."""


def container_of(inspected: dict[str, Any], runtime: str) -> Container:
    """From what `inspect` says (Docker's API and Podman agree on these fields).

    RefusedError where the container is not running; SegctlError where fields are missing.
    """
    try:
        identity = str(inspected["Id"])
        name = str(inspected["Name"]).lstrip("/")
        state = inspected["State"]
        pid = int(state["Pid"] or 0)
        config = inspected.get("Config") or {}
    except (KeyError, TypeError, ValueError) as error:
        raise SegctlError(f"{runtime} described a container without {error}") from error
    if pid <= 0:
        status = state.get("Status") or "not running"
        raise RefusedError(
            f"container {name} has no process: it is {status}",
            state="nothing was touched",
            advice="start it first",
        )
    labels = {str(k): str(v) for k, v in (config.get("Labels") or {}).items()}
    image = inspected.get("ImageName") or config.get("Image") or None
    return Container(identity, name, pid, runtime, labels, image)

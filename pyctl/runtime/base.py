"""What a container runtime is asked, and what it answers.

In, out: values only. I/O: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Any, Protocol

from pyctl.errors import RefusedError, SegctlError
from pyctl.model.text import harmless


@dataclass(frozen=True)
class Container:
    """A container as its runtime describes it."""

    id: str
    """The whole id, in hexadecimal."""
    name: str
    pid: int
    """The pid of its first process, as this host sees it."""
    runtime: str
    """`docker` or `podman`."""
    labels: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    addresses: tuple[str, ...] = ()
    """`a.b.c.d/len` and `x::y/len`, in all of its networks."""
    place: str = ""
    """The place where its runtime is asked."""

    @property
    def short_id(self) -> str:
        """Return the first twelve digits of the id, which people use."""
        return self.id[:12]


@dataclass(frozen=True)
class Known:
    """A container that a runtime knows, whether it runs or not."""

    container: Container
    """Its pid is 0 where it does not run."""
    status: str
    """The runtime's word for its state: running, exited, created, …"""


class Unreachable(Exception):  # noqa: N818  no failure: the next runtime is asked
    """A runtime that does not answer; str() says where it was sought and why."""


class Starts(Protocol):
    """A stream of containers that start or are renamed: the iteration waits for the next, and ends with the
    runtime.
    """

    def __iter__(self) -> Iterator[str]:
        """Yield the whole ids of containers that started or were renamed."""

    def cancel(self) -> None:
        """End the iteration, from any thread. Idempotent."""


class Runtime(Protocol):
    """A container runtime that can be asked for containers."""

    runtime: str
    """`docker` or `podman`."""

    @property
    def place(self) -> str:
        """Return where the runtime is asked, as text for people."""

    def find(self, reference: str) -> Container | None:
        """Return the container with this name or id prefix; None where there is none.

        Raise Unreachable; RefusedError for one that does not run; SegctlError for an answer that
        is no answer (an ambiguous id).
        """

    def running(self) -> list[str]:
        """Return the whole ids of all running containers. Raise Unreachable."""

    def known(self) -> list[Known]:
        """Return all containers, running or not. Raise Unreachable; SegctlError for an invalid answer."""

    def starts(self) -> AbstractContextManager[Starts]:
        """Return a context that gives starts and renames from now on; either may raise Unreachable."""


def container_of(inspected: dict[str, Any], runtime: str, place: str = "") -> Container:
    """Return the container that `inspect` describes (Docker's API and Podman agree on these fields).

    Raise RefusedError where it is not running; SegctlError where fields are missing.
    """
    known = known_of(inspected, runtime, place)
    if known.container.pid <= 0:
        raise RefusedError(
            f"container {known.container.name} has no process: it is {known.status}",
            state="nothing was touched",
            advice="start it first",
        )
    return known.container


def known_of(inspected: dict[str, Any], runtime: str, place: str) -> Known:
    """Return the container that `inspect` describes, running or not; raise SegctlError for missing fields."""
    try:
        identity = str(inspected["Id"])
        name = harmless(str(inspected["Name"]).lstrip("/"))
        state = inspected["State"]
        pid = max(0, int(state["Pid"] or 0))
        config = inspected.get("Config") or {}
    except (KeyError, TypeError, ValueError) as error:
        raise SegctlError(f"{runtime} described a container without {error}") from error
    labels = {
        harmless(str(key)): harmless(str(value))
        for key, value in (config.get("Labels") or {}).items()
    }
    said = inspected.get("ImageName") or config.get("Image")
    image = harmless(str(said)) if said else None
    container = Container(
        identity, name, pid, runtime, labels, image, _addresses(inspected), place
    )
    return Known(container, harmless(str(state.get("Status") or "not running")))


_ADDRESS_FIELDS = (
    ("IPAddress", "IPPrefixLen"),
    ("GlobalIPv6Address", "GlobalIPv6PrefixLen"),
)


def _addresses(inspected: dict[str, Any]) -> tuple[str, ...]:
    """Return the addresses; () where the runtime gives none: a container may share another's network."""
    settings = inspected.get("NetworkSettings")
    settings = settings if isinstance(settings, dict) else {}
    networks = settings.get("Networks")
    networks = networks if isinstance(networks, dict) else {}
    found = []
    for said in (settings, *networks.values()):
        for key, length in _ADDRESS_FIELDS if isinstance(said, dict) else ():
            with suppress(ValueError):
                text = f"{said.get(key)}/{said.get(length)}"
                found.append(str(ip_interface(text)))
    return tuple(dict.fromkeys(found))

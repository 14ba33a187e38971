"""What the API tells of the containers of this host, attached or not. In: values. Out: typed models. I/O: none."""

from __future__ import annotations

from typing import Literal

from pyctl.api.schema.base import Response


class ContainerView(Response):
    """A container that a runtime knows."""

    id: str
    """The first twelve digits of its id."""
    name: str
    runtime: str
    status: str
    """The runtime's word for its state."""
    pid: int | None
    image: str | None
    state: Literal["attached", "shared", "lost", "not-attached"]
    """shared: it lives in the network namespace of an attached one. lost: it is to be attached, and is not."""
    workload: str | None
    """The name of the workload that it is, or is inspected with, or will be."""
    reason: str
    """Why it is not attached; empty: it is."""


class ContainerList(Response):
    """The containers, by name."""

    containers: list[ContainerView]
    unreachable: list[str]
    """Runtimes that do not answer, a line each."""

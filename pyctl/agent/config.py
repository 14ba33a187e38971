"""The agent's configuration: a file that an administrator writes, read once at the start.

In: the file's text. Out: a Config. I/O: reads the file.
All errors are reported together, each with the path of its field, as for a policy; unknown keys are errors.

    apiVersion: segctl/v1
    container-hosts: [unix:///run/podman/podman.sock]   # default: the usual places
    auto-attach:                                        # the first that selects a container counts
      - selector: {labels: {segctl: protect}}
        mode: protect
        datapath: ebpf
        fail: closed
      - selector: {name: "*"}
    history: {max-mib: 256, max-days: 7}                # flows and events on disk; these: the default
    workers: 2                                          # engines that share the packets; default: one per four CPUs
    flow-map: {max-entries: 100000}                     # flows that the kernel decides; default: its size
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyctl.engine.workers import MOST_WORKERS
from pyctl.errors import NotFoundError, SegctlError, UsageError
from pyctl.model.worker import workers_for
from pyctl.model.workload import DatapathKind, Fail, Mode
from pyctl.policy.document import field_checks
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.selectors import SELECTOR
from pyctl.policy.document.table import (
    Field,
    Kind,
    Table,
    const,
    items_of,
    number,
    one_of,
)
from pyctl.policy.document.types import API_VERSION
from pyctl.policy.document.yaml_text import load
from pyctl.state.requests import AutoAttach
from pyctl.telemetry.history.database import Limits


def default_workers() -> int:
    """Return how many engines share the packets where the file does not say."""
    return min(workers_for(len(os.sched_getaffinity(0))), MOST_WORKERS)


@dataclass(frozen=True)
class Config:
    """The content of the configuration file."""

    container_hosts: tuple[str, ...] = ()
    """URLs of unix sockets; empty: the usual places."""
    auto_attach: tuple[AutoAttach, ...] = ()
    history: Limits = field(default_factory=Limits)
    flow_map_entries: int | None = None
    """Verdicts in the kernel at a time; flows beyond them stay with the engine. None: as many as
    the flow maps take.
    """
    workers: int = field(default_factory=default_workers)
    """Engines that share the packets."""


DEFAULT = Config()


def with_workers(config: Config, workers: int) -> Config:
    """Return the configuration with so many engines; UsageError if there may not be so many."""
    if not 1 <= workers <= MOST_WORKERS:
        raise UsageError(
            f"{workers} engines: from 1 to {MOST_WORKERS} can share the packets",
            state="the agent was not started",
        )
    return replace(config, workers=workers)


def read(path: Path, *, must_exist: bool = True) -> Config:
    """Return the configuration in a file, or the default where the file may be missing.

    Raise NotFoundError, UsageError naming every bad field, or SegctlError where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not must_exist:
            return DEFAULT
        raise NotFoundError(f"there is no configuration {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SegctlError(f"reading the configuration: {error}") from error
    return parse(text, str(path))


def parse(text: str, name: str = "the configuration") -> Config:
    """Return the configuration in a text; raise UsageError naming every bad field."""
    notes = ErrorCollector()
    found = _FILE.read(notes, "", load(text, name))
    if notes.errors:
        raise UsageError(
            f"{name} has errors:\n  " + "\n  ".join(notes.errors),
            state="the agent was not started",
        )
    mib, days = found["history"].values()
    return Config(
        found["container-hosts"] or (),
        found["auto-attach"] or (),
        Limits(mib << 20, days * 86400.0),
        found["flow-map"]["max-entries"],
        found["workers"] or default_workers(),
    )


def _host(notes: ErrorCollector, path: str, value: object) -> str | None:
    host = field_checks.text(notes, path, value)
    if host and not host.removeprefix("unix://").startswith("/"):
        notes.error(path, f"{field_checks.shown(host)} is no unix socket of this host")
    return host


def _mode(notes: ErrorCollector, path: str, value: object) -> Mode | None:
    mode: Mode | None = one_of(Mode).read(notes, path, value)
    if mode is Mode.QUARANTINE:
        notes.error(path, "a workload is put into quarantine by `segctl mode`")
    return mode


_AUTO_ATTACH = Table(
    Field("selector", SELECTOR, required=True),
    Field("mode", Kind(_mode)),
    Field("datapath", one_of(DatapathKind)),
    Field("fail", one_of(Fail)),
)
_FILE = Table(
    Field("apiVersion", const(API_VERSION), required=True),
    Field("container-hosts", items_of(Kind(_host))),
    Field("workers", number(1, MOST_WORKERS)),
    Field(
        "auto-attach",
        items_of(Kind(lambda *at: AutoAttach(**_AUTO_ATTACH.read(*at)))),
    ),
    Field(
        "history",
        Table(
            Field("max-mib", number(1, 1 << 20), default=Limits.max_bytes >> 20),
            Field("max-days", number(1, 3650), default=int(Limits.max_age_s) // 86400),
            nulls=True,
        ).kind,
        default={},
    ),
    Field(
        "flow-map",
        Table(Field("max-entries", number(0, 1 << 31)), nulls=True).kind,
        default={},
    ),
)

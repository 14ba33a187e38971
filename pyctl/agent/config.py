"""The agent's configuration: a file that an administrator writes, read once at the start.

In: the file's text. Out: a Config. I/O: reads the file.
Every error is told in one go, with the path of its field, as for a policy; unknown keys are errors.

    apiVersion: segctl/v1
    container-hosts: [unix:///run/podman/podman.sock]   # default: the usual places
    auto-attach:                                        # the first that selects a container counts
      - selector: {labels: {segctl: protect}}
        mode: protect
        datapath: ebpf
        fail: closed
      - selector: {name: "*"}
    history: {max-mib: 256, max-days: 7}                # flows and events on disk; these: the default
    flow-map: {max-entries: 100000}                     # verdicts in the kernel, two to a flow; default: its size
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pyctl.errors import NotFoundError, SegctlError, UsageError
from pyctl.model.workload import DatapathKind, Fail, Mode
from pyctl.policy.document import fields, selectors
from pyctl.policy.document.fields import Notes
from pyctl.policy.document.text import load
from pyctl.policy.document.types import API_VERSION
from pyctl.state.requests import AutoAttach
from pyctl.telemetry.history.database import Limits


@dataclass(frozen=True)
class Config:
    """All of the file."""

    container_hosts: tuple[str, ...] = ()
    """URLs of unix sockets; empty: the usual places."""
    auto_attach: tuple[AutoAttach, ...] = ()
    history: Limits = field(default_factory=Limits)
    flow_map_entries: int | None = None
    """Verdicts in the kernel at a time; flows beyond them stay with the engine. None: as many as
    the flow maps take.
    """


DEFAULT = Config()


def read(path: Path, *, must_exist: bool = True) -> Config:
    """The configuration in a file, or the default where there need be none.

    NotFoundError, UsageError naming every bad field, SegctlError where it cannot be read.
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
    """UsageError naming every bad field."""
    notes = Notes()
    known = ["apiVersion", "container-hosts", "auto-attach", "history", "flow-map"]
    root = fields.mapping(notes, "", load(text, name), known)
    if root.get("apiVersion") != API_VERSION:
        found = fields.shown(root.get("apiVersion"))
        notes.error("apiVersion", f"must be {API_VERSION}, not {found}")
    hosts: list[str] = []
    if "container-hosts" in root:
        for path, item in _items(notes, "container-hosts", root["container-hosts"]):
            host = fields.text(notes, path, item)
            if host and not host.removeprefix("unix://").startswith("/"):
                notes.error(
                    path, f"{fields.shown(host)} is no unix socket of this host"
                )
            hosts.append(host or "")
    chosen = []
    if "auto-attach" in root:
        for path, item in _items(notes, "auto-attach", root["auto-attach"]):
            chosen.append(_auto_attach(notes, path, item))
    history = Limits()
    if "history" in root:
        history = _history(notes, "history", root["history"])
    entries = None
    if "flow-map" in root:
        entries = _flow_map(notes, "flow-map", root["flow-map"])
    if notes.errors:
        raise UsageError(
            f"{name} has errors:\n  " + "\n  ".join(notes.errors),
            state="the agent was not started",
        )
    return Config(tuple(hosts), tuple(chosen), history, entries)


def _items(notes: Notes, path: str, value: object) -> list[tuple[str, object]]:
    found = fields.sequence(notes, path, value)
    return [(f"{path}[{index}]", item) for index, item in enumerate(found)]


def _history(notes: Notes, path: str, value: object) -> Limits:
    found = Limits()
    body = fields.mapping(notes, path, value, ["max-mib", "max-days"])
    for key, most in (("max-mib", 1 << 20), ("max-days", 3650)):
        given = body.get(key)
        if given is None:
            continue
        if type(given) is not int or not 1 <= given <= most:
            notes.error(f"{path}.{key}", f"must be a whole number from 1 to {most}")
        elif key == "max-mib":
            found = replace(found, max_bytes=given << 20)
        else:
            found = replace(found, max_age_s=given * 86400.0)
    return found


def _flow_map(notes: Notes, path: str, value: object) -> int | None:
    most = 1 << 31
    given = fields.mapping(notes, path, value, ["max-entries"]).get("max-entries")
    if given is None or (type(given) is int and 0 <= given <= most):
        return given
    notes.error(f"{path}.max-entries", f"must be a whole number from 0 to {most}")
    return None


def _auto_attach(notes: Notes, path: str, value: object) -> AutoAttach:
    body = fields.mapping(notes, path, value, ["selector", "mode", "datapath", "fail"])
    if "selector" not in body:
        notes.error(f"{path}.selector", "is missing")
    selector = selectors.selector(
        notes, f"{path}.selector", body.get("selector", {"name": "*"})
    )
    mode = datapath = fail = None
    if "mode" in body:
        mode = fields.choice(notes, f"{path}.mode", body["mode"], Mode)
        if mode is Mode.QUARANTINE:
            notes.error(
                f"{path}.mode", "a workload is put into quarantine by `segctl mode`"
            )
    if "datapath" in body:
        datapath = fields.choice(
            notes, f"{path}.datapath", body["datapath"], DatapathKind
        )
    if "fail" in body:
        fail = fields.choice(notes, f"{path}.fail", body["fail"], Fail)
    return AutoAttach(selector, mode, datapath, fail)

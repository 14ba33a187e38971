"""What the agent keeps across its own restarts: workloads, the last port id, the policy.

In: model values. Out: JSON files, each written whole (temporary name, then rename). Workloads live
in Instance.run_dir, which a reboot empties as it empties the kernel; the policy in state_dir, and what must
outlive a reboot of workloads (see memory).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    Claim,
    ClaimState,
    DatapathKind,
    Fail,
    FollowAddresses,
    Mode,
    Offload,
    OtherTraffic,
    Port,
    ProcessRef,
    Service,
    Workload,
)

NO_RECORD = (LookupError, TypeError, ValueError, AttributeError)
"""What a reader raises for a text that is not one of its records."""
_RENAMED = {"whole": "all_interfaces"}
"""Fields of a workload by the names that former versions wrote."""


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one, never half; raise OSError with its name."""
    # One fixed name: the next agent overwrites what a killed one leaves.
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # Otherwise a host that loses power may find the new name on an empty file.
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        # The error of a full disk names no file.
        error.filename = str(path)
        raise
    temporary.chmod(0o600)
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Otherwise it may find the old file after the new one was reported as in force.
        os.fsync(folder)
    finally:
        os.close(folder)


def read_any(path: Path) -> str:
    """Return a file's text; bytes that are not UTF-8 become surrogates, which its parser refuses."""
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def to_json(workload: Workload) -> str:
    """Return a workload as text that from_json reads."""
    stored = asdict(workload)
    del stored["capabilities"]
    return json.dumps(stored, indent=1)


def from_json(text: str) -> Workload:
    """Return the workload that to_json wrote; raise one of NO_RECORD for any other text."""
    raw: dict[str, Any] = json.loads(text)
    process = raw.pop("process")
    forced, before = raw.pop("forced_mode"), raw.pop("mode_before", None)
    ports = [
        Port(**{**port, "addresses": tuple(port["addresses"])})
        for port in raw.pop("ports")
    ]
    return Workload(
        process=ProcessRef(
            process["pid"],
            process["start_time"],
            (process["netns"][0], process["netns"][1]),
            process.get("cookie", raw.pop("netns_cookie", 0)),
        ),
        forced_mode=Mode(forced) if forced else None,
        mode_before=Mode(before) if before else None,
        attach_mode=Mode(raw.pop("attach_mode")),
        datapath=DatapathKind(raw.pop("datapath")),
        fail=Fail(raw.pop("fail")),
        other_traffic=OtherTraffic(raw.pop("other_traffic")),
        offload=Offload(raw.pop("offload", Offload.ON)),
        serves=tuple(map(Service, raw.pop("serves", ()))),
        ports=tuple(ports),
        cut=tuple(raw.pop("cut", ())),
        follow=FollowAddresses(raw.pop("follow", FollowAddresses.NO)),
        claims=tuple(
            Claim(**{**claim, "state": ClaimState(claim["state"])})
            for claim in raw.pop("claims", ())
        ),
        found=tuple(raw.pop("found", ())),
        told=tuple(raw.pop("told", ())),
        added=tuple(raw.pop("added", ())),
        absent=tuple(raw.pop("absent", ())),
        taken=tuple(raw.pop("taken", ())),
        **{_RENAMED.get(name, name): value for name, value in raw.items()},
    )


class Store:
    """The files of one instance. Every method raises SegctlError where the disk refuses."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        with disk_errors(f"creating the directories of instance {instance.name}"):
            for directory in (
                instance.run_dir,
                instance.journal_dir,
                instance.workload_dir,
                instance.state_dir,
            ):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _workload_file(self, workload_id: str) -> Path:
        return self._instance.workload_dir / f"{workload_id}.json"

    def save(self, workload: Workload) -> None:
        """Save the workload, replacing what was stored under the same id."""
        with disk_errors(f"remembering workload {workload.name}"):
            write_atomically(self._workload_file(workload.id), to_json(workload))

    def forget(self, workload_id: str) -> None:
        """Delete the workload. Idempotent."""
        with disk_errors(f"forgetting workload {workload_id}"):
            self._workload_file(workload_id).unlink(missing_ok=True)

    def load(self) -> tuple[list[Workload], list[str]]:
        """Return all workloads, and a warning for each file that cannot be read (left in place)."""
        workloads, warnings = [], []
        for path in sorted(self._instance.workload_dir.glob("*.json")):
            try:
                workloads.append(from_json(path.read_text()))
            except (OSError, *NO_RECORD) as error:
                warnings.append(f"{path} is not a workload of this version: {error}")
        return workloads, warnings

    @property
    def _port_id_file(self) -> Path:
        return self._instance.run_dir / "last-port-id"

    def last_port_id(self) -> int:
        """Return the port id allocated last; 0 for none."""
        try:
            return int(self._port_id_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def save_port_id(self, port_id: int) -> None:
        """Save a port id before it is used, so that the agent after a kill does not reuse it at once."""
        with disk_errors("remembering a port id"):
            write_atomically(self._port_id_file, f"{port_id}\n")

    @property
    def _policy_file(self) -> Path:
        return self._instance.state_dir / "policy.yaml"

    def policy(self) -> tuple[str, float | None]:
        """Return the text and time (epoch seconds) of the applied policy; empty and None where none is."""
        try:
            return read_any(self._policy_file), self._policy_file.stat().st_mtime
        except FileNotFoundError:
            return "", None

    def save_policy(self, text: str) -> None:
        """Save the policy that the next agent starts with."""
        with disk_errors("storing the policy"):
            write_atomically(self._policy_file, text)


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Raise SegctlError with `what` for an OSError in the block."""
    try:
        yield
    except OSError as error:
        raise SegctlError(
            f"{what}: {error}",
            advice="look at the space and the rights of that file system",
            errno=error.errno,
        ) from error

"""A splice under way, on disk: what was there, and which steps have begun.

In: what the splice knows before it touches anything, then each step's name. Out: the
same, to whoever finds the file. I/O: one file per interface in Instance.journal_dir.

The first line is written under another name and renamed, so it is whole or absent; each
begun step is one appended line, written by one write(2) before the step runs. The
writer holds a lock on the file, which the kernel drops when it dies: so a journal that
can be locked belongs to nobody. It lies in /run, that is in memory, and needs no fsync:
what it describes does not survive a reboot either.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyctl.errors import RefusedError
from pyctl.intercept.restore.snapshot import Snapshot, from_json
from pyctl.model.workload import ProcessRef

VERSION = 1


@dataclass(frozen=True)
class Record:
    """The contents of a journal."""

    action: str
    """"attach" or "detach"."""
    process: ProcessRef
    cookie: int
    vex: str
    vin: str
    mark: str
    """The alias of both ports."""
    snapshot: Snapshot
    begun: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON data without `begun`, whose steps are lines of their own."""
        data = {"version": VERSION, **vars(self), "process": asdict(self.process)}
        del data["begun"]
        return data | {"snapshot": self.snapshot.to_json()}


def record_from_json(data: dict[str, Any], begun: tuple[str, ...]) -> Record:
    """Return the record; KeyError, TypeError, ValueError or AttributeError if it is none of this version."""
    if data["version"] != VERSION:
        raise ValueError(f"a journal of version {data['version']}")
    if not all(isinstance(data[key], str) for key in ("action", "vex", "vin", "mark")):
        raise TypeError("a journal without names")
    process = data["process"]
    return Record(
        action=data["action"],
        process=ProcessRef(
            process["pid"],
            process["start_time"],
            tuple(process["netns"]),
            data["cookie"],
        ),
        cookie=data["cookie"],
        vex=data["vex"],
        vin=data["vin"],
        mark=data["mark"],
        snapshot=from_json(data["snapshot"]),
        begun=begun,
    )


class Journal:
    """An open, locked journal."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    def begin(self, step: str) -> None:
        """Write that the step is about to run."""
        os.write(self._fd, f"{step}\n".encode())

    def remove(self) -> None:
        """Delete the journal: the splice is complete, or nothing is left of it."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def journal_path(directory: Path, process: ProcessRef, index: int) -> Path:
    """Return the path of the journal of one interface in one namespace."""
    return directory / f"{process.netns[1]}-{index}.journal"


@contextlib.contextmanager
def created(path: Path, record: Record) -> Iterator[Journal]:
    """Create a journal. RefusedError if one exists: a splice is under way or was interrupted."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(
        fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_all(fd, json.dumps(record.to_json()).encode() + b"\n")
        try:
            os.link(fresh, path)
        except FileExistsError as error:
            raise RefusedError(
                f"another splice of this interface is under way or was interrupted ({path})",
                state="nothing was changed",
                advice="try again; the agent repairs interrupted ones when it starts",
            ) from error
        finally:
            fresh.unlink()
        yield Journal(path, fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextlib.contextmanager
def taken(path: Path) -> Iterator[tuple[Journal, Record | None] | None]:
    """Lock a journal and give it with its record (None: unreadable); give None if somebody holds it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        # It may have been finished and removed between open and lock.
        if os.fstat(fd).st_nlink == 0:
            yield None
            return
        yield Journal(path, fd), _parse(fd)
    finally:
        os.close(fd)


def _parse(fd: int) -> Record | None:
    data = b""
    while chunk := os.pread(fd, 1 << 20, len(data)):
        data += chunk
    first, *rest = data.split(b"\n")
    try:
        begun = tuple(line.decode() for line in rest[:-1])
        return record_from_json(json.loads(first), begun)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def pending(directory: Path) -> list[Path]:
    """Return the journals that exist now."""
    if not directory.is_dir():
        return []
    return sorted(directory.glob("*.journal"))


def port_names(directory: Path) -> frozenset[str]:
    """Return the ports that journals name: their splices are unfinished, whatever exists of them."""
    found: set[str] = set()
    for path in pending(directory):
        with contextlib.suppress(OSError), path.open("rb") as file:
            record = _parse(file.fileno())
            found |= {record.vex, record.vin} if record else set()
    return frozenset(found)

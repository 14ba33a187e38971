"""Containers that an operator attached by name: they are attached again when they restart, or are recreated
under that name, until somebody detaches them. And the modes that `segctl mode` set.

In: requests, and what became of them. Out: files in Instance.state_dir, which outlive a reboot; each is on
disk before the call returns. One file for each container, one for all modes. The dicts are replaced on
change, never altered, so readers need no lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from pyctl.model.instance import Instance
from pyctl.model.workload import (
    DatapathKind,
    Fail,
    FollowAddresses,
    Mode,
    Offload,
    OtherTraffic,
    RuntimeKind,
    Service,
    Workload,
)
from pyctl.runtime.base import Container
from pyctl.state.requests import AttachRequest
from pyctl.state.store import (
    NO_RECORD,
    disk_errors,
    from_json,
    read_any,
    to_json,
    write_atomically,
)

MODES_KEPT = 20_000
_KINDS: Mapping[str, type] = {
    "datapath": DatapathKind,
    "mode": Mode,
    "fail": Fail,
    "other_traffic": OtherTraffic,
    "offload": Offload,
    "follow": FollowAddresses,
}
"""The fields of a request that are text in JSON, with their types."""
_OPTIONS = {
    one.name
    for one in fields(AttachRequest)
    if one.default is None and one.name not in ("pid", "container", "found")
}
"""The fields of a request in which None means "not said"."""
_OF_ONE_CALL = {
    "pid",
    "container",
    "container_host",
    "found",
    "hotplug",
    "told",
    "dry_run",
    "once",
    "force",
}


@dataclass(frozen=True)
class Remembered:
    """A container that is attached whenever it runs."""

    container: str
    """Its name, as the runtime has it."""
    place: str
    """The place where its runtime is asked."""
    order: AttachRequest
    """The merged request of all its attaches."""
    workload: Workload
    """The workload as it was attached last, without its ports and its forced mode."""

    @property
    def key(self) -> str:
        """Return the stem of its file's name."""
        whole = f"{self.place}\n{self.container}".encode(errors="surrogateescape")
        return hashlib.sha256(whole).hexdigest()[:24]


def merged(before: AttachRequest, again: AttachRequest) -> AttachRequest:
    """Return both requests as one: the later one wins where both say something. Labels, addresses and
    interfaces add up; no interface means all of them.
    """
    said = {
        name: value for name in _OPTIONS if (value := getattr(again, name)) is not None
    }
    interfaces: tuple[str, ...] = ()
    if before.interfaces and again.interfaces:
        both = dict.fromkeys((*before.interfaces, *again.interfaces))
        interfaces = tuple(both)
    return replace(
        before,
        **said,
        labels={**before.labels, **again.labels},
        interfaces=interfaces,
        addresses=tuple(dict.fromkeys((*before.addresses, *again.addresses))),
    )


def lasting(order: AttachRequest) -> AttachRequest:
    """Return the part of a request that holds for the container's next start, too. It includes force: what
    the container does to its interface must not prevent its inspection.
    """
    blank = AttachRequest(automatic=True, force=True)
    kept = {one.name for one in fields(AttachRequest)} - _OF_ONE_CALL - {"automatic"}
    return replace(blank, **{name: getattr(order, name) for name in kept})


def text_of(one: Remembered) -> str:
    """Return the record as text that `of_text` reads."""
    order = {
        key: value
        for key, value in asdict(one.order).items()
        if key not in _OF_ONE_CALL
    }
    body = {
        "container": one.container,
        "place": one.place,
        "order": order,
        "workload": json.loads(to_json(one.workload)),
    }
    return json.dumps(body, indent=1)


def of_text(text: str) -> Remembered:
    """Return the record that `text_of` wrote; raise one of NO_RECORD for any other text."""
    raw: dict[str, Any] = json.loads(text)
    order = {key: _value(key, value) for key, value in raw["order"].items()}
    workload = from_json(json.dumps(raw["workload"]))
    kept = lasting(AttachRequest(**order))
    return Remembered(raw["container"], raw["place"], kept, workload)


def _value(key: str, value: Any) -> Any:
    if key == "serves" and value is not None:
        return tuple(map(Service, value))
    if key in _KINDS and value is not None:
        return _KINDS[key](value)
    return tuple(value) if isinstance(value, list) else value


class Memory:
    """What one instance remembers. Every change, and every look at a mode, raises SegctlError where the disk
    refuses.
    """

    def __init__(self, instance: Instance) -> None:
        self._folder = instance.state_dir / "containers"
        self._modes_file = instance.state_dir / "modes.json"
        self._by_key: dict[str, Remembered] = {}
        with disk_errors(f"creating {self._folder}"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> list[str]:
        """Read what an earlier agent wrote; return a warning for each file that cannot be read."""
        warnings = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                one = of_text(read_any(path))
            except (OSError, *NO_RECORD) as error:
                warnings.append(f"{path} is not a container of this version: {error}")
            else:
                self._by_key = {**self._by_key, one.key: one}
        return warnings

    def all(self) -> list[Remembered]:
        """Return all remembered containers, by name."""
        return sorted(self._by_key.values(), key=lambda one: one.workload.name)

    def lost(self, attached: Collection[str]) -> list[Remembered]:
        """Return the remembered containers that are none of the attached workloads (by id)."""
        return [one for one in self.all() if one.workload.id not in attached]

    def of(self, container: Container) -> Remembered | None:
        """Return what is remembered of a container, by its name, else by its id: a renamed container keeps
        its record.
        """
        there = [one for one in self.all() if one.place == container.place]
        for one in there:
            if one.container == container.name:
                return one
        for one in there:
            if one.workload.id == container.short_id:
                return replace(one, container=container.name)
        return None

    def keep(
        self, container: Container, order: AttachRequest, workload: Workload
    ) -> None:
        """Remember a container that was attached."""
        former = self.of(container)
        said = lasting(merged(former.order, order) if former else order)
        bare = replace(workload, ports=(), forced_mode=None, mode_before=None)
        one = Remembered(container.name, container.place, said, bare)
        if one != former:
            with disk_errors(f"remembering container {container.name}"):
                write_atomically(self._folder / f"{one.key}.json", text_of(one))
            self._by_key = {**self._by_key, one.key: one}

    def forget(self, one: Remembered) -> None:
        """Stop attaching the container. Idempotent."""
        with disk_errors(f"forgetting container {one.container}"):
            (self._folder / f"{one.key}.json").unlink(missing_ok=True)
        left = dict(self._by_key)
        left.pop(one.key, None)
        self._by_key = left

    def forget_workload(self, workload: Workload) -> None:
        """Forget the workload's mode, and all containers that were attached as this workload."""
        for one in self.all():
            if one.workload.id == workload.id or one.workload.name == workload.name:
                self.forget(one)
        self.keep_mode(replace(workload, forced_mode=None))

    def _modes(self) -> dict[str, list[str | None]]:
        # Whatever else keeps the file from being read is no proof that no mode is kept.
        no_file = contextlib.suppress(FileNotFoundError, ValueError)
        with disk_errors(f"reading {self._modes_file}"), no_file:
            found = json.loads(read_any(self._modes_file))
            if isinstance(found, dict):
                return found
        return {}

    def keep_mode(self, workload: Workload) -> None:
        """Remember the workload's forced mode (or that it has none), for when it is attached again."""
        kept = self._modes()
        former = dict(kept)
        for key in _mode_keys(workload):
            kept.pop(key, None)
            if workload.forced_mode is not None:
                kept[key] = [workload.forced_mode, workload.mode_before]
        if list(kept.items()) != list(former.items()):
            newest = dict(list(kept.items())[-MODES_KEPT:])
            with disk_errors(f"remembering the mode of {workload.name}"):
                write_atomically(self._modes_file, json.dumps(newest))

    def with_mode(self, workload: Workload) -> Workload:
        """Return the workload with the mode that was kept for it, or for its name."""
        kept = self._modes()
        for key in _mode_keys(workload):
            try:
                forced, before = (Mode(said) if said else None for said in kept[key])
            except (KeyError, TypeError, ValueError):
                continue
            return replace(workload, forced_mode=forced, mode_before=before)
        return workload


def _mode_keys(workload: Workload) -> list[str]:
    """Return the keys of the workload's mode: a container's id, and a name. A pid is no key: the next process
    with the same pid is another.
    """
    keys = [] if workload.runtime == RuntimeKind.PROCESS else [workload.id]
    return keys if workload.name == workload.id else [*keys, f"name:{workload.name}"]


def places(remembered: Collection[Remembered]) -> set[str]:
    """Return the places where the runtimes of these containers are asked."""
    return {one.place for one in remembered}

"""The one list of attached workloads, mirrored on disk.

In: Workload values. Out: look-ups by anything a user may know of a workload. The dict is replaced
on change, never altered, so readers need no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyctl.errors import NotFoundError, UsageError
from pyctl.model.workload import Workload
from pyctl.state.names import Names
from pyctl.state.store import Store


class Registry:
    """All attached workloads by id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_id: dict[str, Workload] = {}
        self._sorted: tuple[dict[str, Workload], list[Workload]] = ({}, [])
        """The dict that was sorted, and the sorted list."""
        self._by_port: dict[int, str] = {}
        """Workload ids by port; an entry may outlive its port."""
        self.names = Names()

    @property
    def by_id(self) -> Mapping[str, Workload]:
        """Return the workloads by id; the same object until something changes."""
        return self._by_id

    def load(self, complete: Callable[[Workload], Workload]) -> list[str]:
        """Load the store's workloads; return warnings for what cannot be read. `complete` adds to each what is
        not stored.
        """
        workloads, warnings = self._store.load()
        workloads = list(map(complete, workloads))
        self._by_id = {workload.id: workload for workload in workloads}
        for workload in workloads:
            self._index(workload)
        return warnings

    def all(self) -> list[Workload]:
        """Return the workloads sorted by name, then id."""
        source, found = self._sorted
        if source is not self._by_id:
            source = self._by_id
            found = in_order(source)
            self._sorted = source, found
        return list(found)

    def put(self, workload: Workload) -> None:
        """Add or replace a workload, on disk first."""
        self._store.save(workload)
        self._by_id = {**self._by_id, workload.id: workload}
        self._index(workload)
        for port in workload.ports:
            self.names.note(workload.name, port)

    def drop(self, workload_id: str) -> None:
        """Forget a workload. Idempotent."""
        self._store.forget(workload_id)
        left = dict(self._by_id)
        gone = left.pop(workload_id, None)
        self._by_id = left
        for port in gone.ports if gone else ():
            if self._by_port.get(port.port_id) == workload_id:
                del self._by_port[port.port_id]

    def _index(self, workload: Workload) -> None:
        self._by_port |= {port.port_id: workload.id for port in workload.ports}

    def get(self, workload_id: str) -> Workload | None:
        """Return the workload with this exact id."""
        return self._by_id.get(workload_id)

    def by_port(self, port_id: int) -> Workload | None:
        """Return the workload that the port id belongs to."""
        found = self._by_id.get(self._by_port.get(port_id, ""))
        if found and any(port.port_id == port_id for port in found.ports):
            return found
        return None

    def find(self, ref: str) -> Workload:
        """Return the workload that `ref` names, as find_workload does."""
        return find_workload(self._by_id, ref)


def in_order(workloads: Mapping[str, Workload]) -> list[Workload]:
    """Return the workloads sorted by name, then id."""
    return sorted(workloads.values(), key=lambda one: (one.name, one.id))


def find_workload(workloads: Mapping[str, Workload], ref: str) -> Workload:
    """Return a workload by id, name, pid or unique id prefix; raise NotFoundError, or UsageError."""
    if ref in workloads:
        return workloads[ref]
    tests = (
        lambda workload: workload.name == ref,
        lambda workload: str(workload.process.pid) == ref,
        lambda workload: len(ref) >= 4 and workload.id.startswith(ref),
        lambda workload: (
            len(ref) > len(workload.id) >= 12 and ref.startswith(workload.id)
        ),
    )
    for matches in tests:
        found = [one for one in in_order(workloads) if matches(one)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(workload.id for workload in found)
            raise UsageError(f"{ref!r} is any of {names}", advice="give the id")
    raise NotFoundError(
        f"no attached workload is called {ref!r}",
        advice="`segctl list` shows those that are attached",
    )

"""A node with processes that live, or do not, and the observer of its workloads. Kernel, procedures and poller
are played."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from pyctl.controller.loop import Kind, Loop, each
from pyctl.controller.workloads import succession
from pyctl.errors import NotFoundError
from pyctl.model.workload import ProcessRef, Workload
from pyctl.observe import workloads
from pyctl.observe.workloads import CHANGED, ENDED, REGISTRY, Workloads
from pyctl.platform.inhabitants import Inhabitants
from tests import packets
from tests.unit.observe.makers import Looks, Node, Played, Watch, living
from tests.unit.policy.makers import port, workload

IP = f"{packets.pod_one_ip4}/24"
LATER = f"{packets.leased_ip4}/24"
WEB = living(workload("web", port(1, IP)), 11)
APP = living(workload("app", port(2)), 12)


class World(Node):
    """A node with processes that live, or do not, and what its observer asks of the kernel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.alive: dict[int, ProcessRef] = {}
        self.pidfds: dict[int, int] = {}
        """By pid, the newest."""
        self.no_pidfd: OSError | None = None
        self.heirs: dict[tuple[int, int], ProcessRef] = {}
        self.bound = False
        self.live: dict[int, object] = {}
        """Addresses by pid, or what asking for them raises."""
        self.ports: dict[int, object] = {}
        """As they are by now, by port id."""
        self.buried: list[str] = []
        self.no_burial: Exception | None = None
        self.no_search: Exception | None = None
        self.searched: list[set[str]] = []
        self.looked: list[str] = []
        self.no_cover: Exception | None = None
        self.between = lambda: None
        self.looks = Looks(monkeypatch)
        self.poller = Played()
        self.controller = Loop("controller")
        self.hotplug = SimpleNamespace(
            look=self.looked.append,
            forget=lambda key: self.looked.append(f"forget {key}"),
            waits=lambda _: False,
        )
        Watch.refuses = None
        self._play(monkeypatch)
        self.workloads = Workloads(
            self,  # type: ignore[arg-type]
            self.controller,
            self.looks,
            self.poller,  # type: ignore[arg-type]
            self.hotplug,  # type: ignore[arg-type]
        )
        kind = Kind(self.workloads.see_to_ended, self.workloads.not_buried, rests=0.0)
        self.looks.kind(ENDED, kind)
        self.failed: list[str] = []
        self.looks.kind(
            CHANGED,
            Kind(
                each(self.workloads.look),
                lambda _, error: self.failed.append(str(error)),
            ),
        )
        self.looks.kind(
            REGISTRY,
            Kind(
                each(lambda _: self.workloads.follow_registry()),
                lambda *_: None,
                rests=0.0,
            ),
        )
        self.looks.start()

    def _play(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workloads.os, "pidfd_open", self._pidfd_open)
        monkeypatch.setattr(workloads, "ChangeWatch", Watch)
        monkeypatch.setattr(workloads, "netns_path", lambda process: process)
        for module in (workloads, succession):
            monkeypatch.setattr(module, "process_alive", self._alive)
        monkeypatch.setattr(succession, "search", self._search)
        monkeypatch.setattr(succession, "shares_netns", lambda *_: True)
        monkeypatch.setattr(
            succession, "bound_at", lambda *_: "/run/netns/x" if self.bound else None
        )
        monkeypatch.setattr(workloads.recovery, "finish_journals", lambda _: [])
        monkeypatch.setattr(workloads, "cleanup_dead_workload", self._bury)
        monkeypatch.setattr(workloads, "drop_and_tell_broken_ports", lambda *_: False)
        monkeypatch.setattr(workloads, "live_addresses", self._live)
        monkeypatch.setattr(
            workloads, "port_now", lambda _i, _p, was: self.ports.get(was.port_id, was)
        )
        monkeypatch.setattr(
            workloads,
            "follow",
            lambda _, was, now: self.looked.append(f"follow {now.mtu}"),
        )
        monkeypatch.setattr(workloads.uninspected, "look", lambda *_: ())
        monkeypatch.setattr(workloads.uninspected, "cover", self._cover)

    def _pidfd_open(self, pid: int) -> int:
        if self.no_pidfd:
            raise self.no_pidfd
        if pid not in self.alive:
            raise ProcessLookupError(pid)
        self.pidfds[pid] = os.eventfd(0)
        return self.pidfds[pid]

    def _alive(self, process: ProcessRef) -> bool:
        return self.alive.get(process.pid) == process

    def _search(self, found) -> Inhabitants:
        if self.no_search:
            raise self.no_search
        self.searched.append({one.id for one in found})
        self.between()
        return Inhabitants(dict(self.heirs))

    def _bury(self, _context, load: Workload) -> None:
        if self.no_burial:
            raise self.no_burial
        self.buried.append(load.id)
        self.registry.drop(load.id)

    def _live(self, process: ProcessRef) -> tuple[tuple[str, str], ...]:
        if process.pid not in self.alive:
            raise NotFoundError("its namespace is gone")
        usual = (("eth0", IP),) if process.netns == WEB.process.netns else ()
        found = self.live.get(process.pid, usual)
        if isinstance(found, Exception):
            raise found
        return found

    def _cover(self, *_: object) -> None:
        if self.no_cover:
            raise self.no_cover

    def attach(self, *loads: Workload) -> None:
        for load in loads:
            self.alive[load.process.pid] = load.process
            self.registry.put(load)
        self.looks.put(REGISTRY)
        self.looks.pass_time()

    def detach(self, *loads: Workload) -> None:
        for load in loads:
            self.registry.drop(load.id)
        self.looks.put(REGISTRY)
        self.looks.pass_time()

    def end(self, load: Workload) -> None:
        """Its process ends, which its pidfd says."""
        del self.alive[load.process.pid]
        self.poller.says(self.pidfds[load.process.pid])

    def change(self, load: Workload) -> bool:
        """Whether a change in its namespace is heard."""
        watched = self.workloads._watched[load.id]
        return self.poller.says(watched.changes.fileno())

    def told_of(self, word: str) -> list[str]:
        return [line for line in self.told if word in line]

"""A context over a host that is played: its processes and interfaces, a kernel and an engine that take what
they are told, or refuse it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyctl.controller import commit_order
from pyctl.controller import context as context_module
from pyctl.controller.context import Context
from pyctl.controller.steering import Steering
from pyctl.controller.workloads import (
    attach,
    attach_target,
    detach,
    given,
    in_netns,
    release,
    succession,
    uninspected,
)
from pyctl.errors import NotFoundError, SegctlError
from pyctl.intercept.attach import Splice
from pyctl.intercept.survey.segments import Found
from pyctl.intercept.uninspected import Uninspected
from pyctl.model.instance import Instance
from pyctl.model.workload import DatapathKind, Offload, Port, ProcessRef, Workload
from pyctl.platform.inhabitants import Inhabitants
from pyctl.runtime.base import Container
from pyctl.state.ids import PortIds
from pyctl.state.registry import Registry
from pyctl.state.remembered import Memory
from pyctl.telemetry.events import EventLog
from tests import packets
from tests.unit.agent.played import Kernel
from tests.unit.policy.makers import port

IP = f"{packets.pod_one_ip4}/24"
OTHER_IP = f"{packets.pod_two_ip4}/24"


def no_room() -> SegctlError:
    return SegctlError("no room")


class Store:
    """The disk: what was written last."""

    def __init__(self) -> None:
        self.workloads: dict[str, Workload] = {}
        self.port_id = 0

    def save(self, workload: Workload) -> None:
        self.workloads[workload.id] = workload

    def forget(self, workload_id: str) -> None:
        self.workloads.pop(workload_id, None)

    def save_port_id(self, port_id: int) -> None:
        self.port_id = port_id


class Drivers(Kernel):
    """The engine and the drivers; of the ports in `left`, something is left in a map."""

    def __init__(self) -> None:
        super().__init__()
        self.left: set[int] = set()

    def choose(self, wish: DatapathKind | None) -> DatapathKind:
        return wish or self.default

    def port_in_use(self, port_id: int) -> bool:
        return port_id in self.left


class PlayedSplice(Splice):
    """The splice of an interface of the host; what is to fail fails."""

    def __init__(
        self, host: Host, process: ProcessRef, port: Port, segment: int
    ) -> None:
        super().__init__(port, segment)
        self.host = host
        self.process = process

    def cut(self, port: Port) -> Port:
        self.host.kernel.calls.append("cut")
        if port.interface in self.host.no_splice:
            raise self.host.no_splice[port.interface]
        return replace(port, vex_ifindex=10 + port.port_id, vin_ifindex=port.port_id)

    def commit(self, give_way: Callable[[], object] = lambda: None) -> list[str]:
        self.host.kernel.calls.append("commit")
        give_way()
        if self.port.interface in self.host.no_splice_after:
            raise self.host.no_splice_after[self.port.interface]
        self.host.spliced.append(f"{self.process.pid} {self.port.interface}")
        return [self.host.splice_loses] if self.host.splice_loses else []


class Host:
    """Processes with their interfaces, and a context that attaches them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        monkeypatch.setattr(Instance, "state_dir", place / "state")
        monkeypatch.setattr(Instance, "run_dir", place / "run")
        self.kernel = Drivers()
        self.store = Store()
        self.recorded: list[str] = []
        self.context = Context(
            instance=Instance("segt-controller"),
            store=self.store,  # type: ignore[arg-type]
            memory=Memory(Instance("segt-controller")),
            registry=Registry(self.store),  # type: ignore[arg-type]
            steering=Steering(self.kernel, self.kernel),  # type: ignore[arg-type]
            events=EventLog(),
            history=self,  # type: ignore[arg-type]
            port_ids=PortIds(),
        )
        self.registry = self.context.registry
        self.processes: dict[int, ProcessRef] = {}
        """Those that live, by pid."""
        self.containers: dict[str, Container] = {}
        self.interfaces: dict[tuple[int, int], dict[str, tuple[str, ...]]] = {}
        """By namespace: the interfaces with their addresses."""
        self.spliced: list[str] = []
        self.no_splice: dict[str, Exception] = {}
        """By interface: what its splice fails with, before its port is ready."""
        self.no_splice_after: dict[str, Exception] = {}
        """Likewise, after its port is ready."""
        self.splice_loses = ""
        self.unsplice_loses = ""
        self.no_unsplice: dict[str, Exception] = {}
        self.bound: set[tuple[int, int]] = set()
        """Namespaces that live on without a process."""
        self.costs: tuple[str, ...] = ()
        """What a detach loses."""
        self.rules_networks = False
        self.broken: set[str] = set()
        """Ends of links that somebody deleted."""
        self.places: dict[int, int] = {}
        """Bridges by port id, of ports that exist."""
        self.coming = 0
        """The bridge that interfaces are on which are not spliced."""
        self.far: int | None = None
        self.offloads: list[Offload] = []
        self.bridge: list[Offload] = []
        self.followed: list[int] = []
        self.no_follow: Exception | None = None
        self.no_switch: Exception | None = None
        self.uninspected: tuple[Uninspected, ...] = ()
        self.sides: list[tuple[str, bool]] = []
        """Host sides that were set, and whether up."""
        self.no_host_side: set[str] = set()
        self.no_side_set: Exception | None = None
        self.asked: list[int] = []
        """The pids whose listening ports were asked for."""
        self._play(monkeypatch)

    def _play(self, monkeypatch: pytest.MonkeyPatch) -> None:
        played: dict[Any, dict[str, Callable[..., Any]]] = {
            context_module: {
                "listening_ports": self._listening,
                "far_vex": lambda *_: self.far,
                "switch_offloads": self._switch,
                "switch_bridge": lambda _, offload: self.bridge.append(offload),
                "is_full": lambda _: False,
            },
            commit_order: {"wait_for_programs": self.kernel.called("grace_period")},
            attach_target: {
                "process_ref": self._process_ref,
                "with_cookie": lambda process: process,
                "resolve": self._resolve,
            },
            in_netns: {"shares_netns": lambda *_: True},
            succession: {
                "search": self._search,
                "process_alive": self._alive,
                "shares_netns": lambda *_: True,
                "bound_at": self._bound_at,
            },
            given: {
                "read_segments": lambda *_: Found(self.places),
                "process_alive": self._alive,
                "live_addresses": self._live,
                "port_anew": self._port_anew,
            },
            attach: {
                "process_alive": self._alive,
                "refuse_netns": lambda *_: None,
                "rules_networks": lambda _: self.rules_networks,
                "select_interfaces": self._candidates,
                "candidates": self._candidates,
                "unspliced": self._unspliced,
                "live_addresses": self._live,
                "preview": lambda _i, _p, name, **_: [f"splice {name}"],
                "prepare": self._prepare,
                "follow": self._follow,
            },
            release: {"unsplice": self._unsplice},
            detach: {
                "process_alive": self._alive,
                "lost_by_detach": lambda *_, **__: self.costs,
                "standing": lambda _, names: frozenset(names) - self.broken,
                "bound_at": self._bound_at,
            },
            uninspected: {
                "uninspected": lambda *_: self.uninspected,
                "set_host_side": self._set_side,
            },
        }
        for module, parts in played.items():
            for name, part in parts.items():
                monkeypatch.setattr(module, name, part)

    def record(self, *, events: Iterable[Any]) -> None:
        self.recorded += [one.message for one in events]

    def runs(self, pid: int, **interfaces: tuple[str, ...]) -> ProcessRef:
        """A process starts in a network namespace of its own."""
        process = ProcessRef(pid, pid, (4, 10_000 + pid))
        self.processes[pid] = process
        self.interfaces[process.netns] = interfaces or {"eth0": (IP,)}
        return process

    def starts(self, name: str, pid: int, **more: Any) -> Container:
        """A container of this name starts, in a network namespace of its own."""
        if pid not in self.processes:
            self.runs(pid)
        known = {"id": f"{name:x<64}", "runtime": "docker", "place": "here", **more}
        found = Container(name=name, pid=pid, **known)
        self.containers[name] = found
        return found

    def ends(self, pid: int) -> None:
        """The process ends, and its namespace with it unless it is bound."""
        del self.processes[pid]

    def holds(self) -> bool:
        """Whether the disk has what the registry has."""
        return self.store.workloads == self.registry.by_id

    def port(self, process: ProcessRef, interface: str, port_id: int) -> Port:
        return replace(
            port(port_id, *self.interfaces[process.netns][interface]),
            interface=interface,
        )

    def _listening(self, process: ProcessRef) -> tuple[int, ...]:
        self.asked.append(process.pid)
        return ()

    def _process_ref(self, pid: int) -> ProcessRef:
        if pid not in self.processes:
            raise NotFoundError(f"there is no process {pid}")
        return self.processes[pid]

    def _resolve(self, name: str, _host: str | None) -> Container:
        if name not in self.containers:
            raise NotFoundError(f"there is no container {name}")
        return self.containers[name]

    def _alive(self, process: ProcessRef) -> bool:
        return self.processes.get(process.pid) == process

    def _bound_at(self, netns: tuple[int, int], _cookie: int) -> Path | None:
        return Path("/run/netns/kept") if netns in self.bound else None

    def _search(self, ended: Iterable[Workload]) -> Inhabitants:
        wanted = {one.process.netns for one in ended}
        living = self.processes.values()
        return Inhabitants({one.netns: one for one in living if one.netns in wanted})

    def _live(self, process: ProcessRef) -> tuple[tuple[str, str], ...]:
        there = self.interfaces[process.netns]
        return tuple((name, text) for name, found in there.items() for text in found)

    def _port_anew(self, _instance: Instance, process: ProcessRef, was: Port) -> Port:
        return replace(was, addresses=self.interfaces[process.netns][was.interface])

    def _candidates(
        self, process: ProcessRef, wanted: tuple[str, ...] = ()
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        there = self.interfaces[process.netns]
        return tuple(name for name in there if name in (wanted or there)), ()

    def _unspliced(
        self, _instance: Instance, process: ProcessRef, names: Iterable[str]
    ) -> tuple[str, ...]:
        known = in_netns.workload_in_netns(self.registry.all(), process)
        done = {one.interface for one in known.ports} if known else set()
        return tuple(name for name in names if name not in done)

    @contextlib.contextmanager
    def _prepare(
        self,
        _instance: Instance,
        process: ProcessRef,
        interface: str,
        port_id: int,
        **_: object,
    ) -> Iterator[Splice]:
        port = self.port(process, interface, port_id)
        yield PlayedSplice(self, process, port, self.coming)

    def _unsplice(
        self,
        _instance: Instance,
        process: ProcessRef,
        one: Port,
        *,
        ports_ready: Callable[[Port], None],
        turns: contextlib.AbstractContextManager[object],
        **_: object,
    ) -> list[str]:
        with turns:
            pass
        if one.interface in self.no_unsplice:
            ports_ready(one)
            raise self.no_unsplice[one.interface]
        self.spliced.remove(f"{process.pid} {one.interface}")
        return [self.unsplice_loses] if self.unsplice_loses else []

    def _follow(self, _instance: Instance, _was: Port, now: Port) -> None:
        if self.no_follow:
            raise self.no_follow
        self.followed.append(now.port_id)

    def _switch(self, *args: Any) -> None:
        self.offloads.append(args[-1])
        if self.no_switch:
            raise self.no_switch

    def _set_side(
        self, _instance: Instance, _process: ProcessRef, interface: str, *, up: bool
    ) -> bool:
        if self.no_side_set:
            raise self.no_side_set
        self.sides.append((interface, up))
        return interface not in self.no_host_side

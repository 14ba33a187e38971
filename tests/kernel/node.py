"""A whole node without wires: real programs, maps, engine and steering; frames are put in by BPF_PROG_TEST_RUN.

In: workloads, a compiler of a policy, frames. Out: what became of each frame, and the engine's sessions.
Depends on: root, bcc, the built extension. What a program sends to the engine reaches it over the bridge pair.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyctl.controller.commit_order import commit_in_order
from pyctl.controller.steering import Steering
from pyctl.datapath.drivers import Drivers
from pyctl.datapath.ebpf.driver import EbpfDriver
from pyctl.datapath.pins import pin_dir
from pyctl.engine import records
from pyctl.engine.node_records import pack_members, pack_node
from pyctl.engine.process.engine import Engine
from pyctl.engine.rings import open_rings
from pyctl.model.workload import DatapathKind, PortPair, Segment, Workload
from pyctl.policy.compile.compiler import Compiler
from tests import packets
from tests.kernel.conftest import Lab, Outcome
from tests.lab.datapath.pool import empty

EBPF = DatapathKind.EBPF
HERE = Path("/proc/thread-self/ns/net")
PATIENCE_S = 5


class _PaperDriver(EbpfDriver):
    """The driver's map entries, without filters: nothing comes by a wire."""

    def attach(self, pair: PortPair) -> None:
        self._write(pair)

    def detach(self, port_id: int) -> None:
        self._erase(port_id, self._ifindexes(port_id))


class _Client:
    """The engine's client without its socket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.port_delete = engine.delete_port
        self.listeners_set = engine.set_listeners
        self.sync = engine.sync

    def policy_set(self, generation: int, policy: Any) -> None:
        self._engine.set_policy(records.pack_policy(policy, generation))

    def node_set(self, *said: Any) -> None:
        self._engine.set_node(pack_node(*said))

    def members_set(self, *said: Any) -> None:
        self._engine.set_members(pack_members(*said))


class _Engines:
    """Of an engine that never ends."""

    def __init__(self, engine: Engine) -> None:
        self._client = _Client(engine)

    def teach_with(self, _teach: object) -> None:
        """There is no other engine to be taught."""

    def call_engine(self, what: Any) -> None:
        what(self._client)


class Node:
    """The node, and the workloads attached to it."""

    def __init__(self, kernel: Lab, engine: Engine, vbr: socket.socket) -> None:
        self.kernel, self.engine, self._vbr = kernel, engine, vbr
        self.start()

    def start(self) -> None:
        """Nothing is attached."""
        drivers = Drivers(self.kernel.instance)
        paper = _PaperDriver(self.kernel.instance)
        drivers._ebpf = drivers._by_kind[EBPF] = paper
        drivers._ready.add(EBPF)
        self.steering = Steering(drivers, _Engines(self.engine))
        self.ports: set[int] = set()

    def follow(self, loads: Iterable[Workload], compiler: Compiler) -> None:
        """What attach, detach, `segctl mode` and `policy apply` do, in their order."""
        loads = list(loads)
        wanted = {port.port_id: port for load in loads for port in load.ports}
        self.steering.segments = {
            port.segment: Segment(frozenset({packets.gateway_mac}), port.closed)
            for port in wanted.values()
            if port.segment
        }
        for port_id in self.ports - wanted.keys():
            self.steering.remove(port_id)
        compiled = compiler.compile(loads)
        for port_id in wanted.keys() - self.ports:
            self.steering.prepare(compiled, port_id, EBPF, tuple)
            self.steering.add(port_id, compiled, EBPF)
        commit_in_order(self.steering, compiled)
        self.ports = set(wanted)

    def run(self, port_id: int, hook: str, ifindex: int, frame: bytes) -> Outcome:
        """What the program made of the frame; the engine has judged what it was sent of it."""
        before = self._judged(port_id)
        outcome = self.kernel.run(hook, frame, ifindex=ifindex)
        if "to_engine" in outcome.reasons:
            if outcome.frame != frame:
                self._vbr.send(outcome.frame)
            self.until(lambda: self._judged(port_id) > before)
        return outcome

    def _judged(self, port_id: int) -> int:
        return self.counters(port_id).get("to_engine", 0)

    def counters(self, port_id: int) -> Mapping[str, int]:
        """The engine's, of packets."""
        return {key: row[0] for key, row in self.engine.counters(port_id).items()}

    def sessions(self, port_id: int) -> list[records.Session]:
        """Those of the port."""
        found, cursor = self.engine.sessions(port_id, 4096)
        assert not cursor
        return records.sessions(found)

    def until(self, done: Any) -> None:
        """Wait until the engine has done it."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, "the engine did not do it"


@contextlib.contextmanager
def made(kernel: Lab, ifindexes: Iterable[int]) -> Iterator[Node]:
    """A node whose ports may have these ifindexes."""
    links = [f"link add d{one} index {one} type bridge" for one in ifindexes]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(links), text=True, check=True)
    with contextlib.ExitStack() as stack:
        for one in ifindexes:
            stack.callback(subprocess.run, ["ip", "link", "del", f"d{one}"], check=True)
        empty(kernel.instance)
        kernel.heartbeat()
        engine = stack.enter_context(Engine())
        with open_rings(HERE) as rings:
            engine.set_rings([socket.dup(fd) for fd in rings.fds])
        assert engine.open_maps(pin_dir(kernel.instance))
        vbr = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        vbr.bind(("vbr-neuv", 0))
        yield Node(kernel, engine, vbr)

"""What the benchmark measures in: worlds of namespaces, the programs in them, and agents.

A world has the shape that Docker makes: a host namespace with a bridge, a client and a server whose
eth0 is a veth on that bridge. Every path to compare has a world of its own, all of one shape and all
there from the beginning to the end, so that runs can be interleaved without re-wiring anything.
Everything is random by name and removed at the end, however the end comes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pyctl.api.client import AgentClient
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance

ROOT = Path(__file__).resolve().parent.parent
SEGCTL = str(ROOT / ".venv/bin/segctl")
PREFIX = "10.214"
IPERF_PORT, UDP_PORT, ECHO_PORT = 5201, 7001, 7002
CPUS = sorted(os.sched_getaffinity(0))
PLACEMENTS = {"apart": 11111, "together": 11112} if CPUS[1:] else {"together": 11112}
"""Where a ping-pong's two ends run → the port of its server. `apart`: each on a core of its own, so
that every message wakes another core, tens of µs. `together`: on one core, where a message costs no
wake-up, a few µs, so that whatever the path adds stands out. Left alone, the scheduler moves between
the two as it likes and the figures are a lottery. The engine runs where it likes (sg_place.h)."""

POLICY = """
apiVersion: segctl/v1
groups:
  servers: {selector: {name: "bench-server-*"}}
  clients: {selector: {name: "bench-client-*"}}
  elsewhere: {cidrs: ["192.0.2.0/24", "198.51.100.0/24"]}
modes: {servers: protect, clients: protect}
rules:
  - {id: 1, from: elsewhere, to: servers, action: deny}
  - {id: 2, from: any, to: servers, action: allow}
  - {id: 3, from: servers, to: any, action: allow}
  - {id: 4, from: clients, to: any, action: allow}
  - {id: 5, from: any, to: clients, action: allow}
"""
"""In protect, with a rule that does not match before the one that does."""


class BenchError(Exception):
    """A measurement could not be made; the sentence says why."""


def run(*argv: str | Path, seconds: float = 60) -> str:
    """What a command printed; BenchError with its complaint where it fails."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(
            f"{command_line(argv)}: not done within {seconds} s"
        ) from error
    if done.returncode:
        told = (done.stderr or done.stdout).strip()[-400:]
        raise BenchError(f"{command_line(argv)}: exit {done.returncode}: {told}")
    return done.stdout


def command_line(argv: tuple[str | Path, ...]) -> str:
    return " ".join(map(str, argv))


def wait_until(what: Callable[[], Any], seconds: float, message: str) -> Any:
    """The first true answer of `what`; BenchError at the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise BenchError(message)
        time.sleep(0.02)
    return answer


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a process of ours to end, and make sure."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)


@dataclass
class Box:
    """One namespace with a process that holds it: what segctl sees as a container."""

    name: str
    ip: str = ""
    pid: int = 0

    @property
    def path(self) -> str:
        return f"/run/netns/{self.name}"

    def command(self, *argv: str | Path) -> tuple[str | Path, ...]:
        return ("nsenter", f"--net={self.path}", *argv)

    def run(self, *argv: str | Path, seconds: float = 60) -> str:
        return run(*self.command(*argv), seconds=seconds)


@dataclass
class World:
    """A path's own host, client and server. `attached`: segctl's names of those spliced."""

    name: str
    host: Box
    client: Box
    server: Box
    agent: Agent | None = None
    attached: list[str] = field(default_factory=list)


class Lab:
    """Makes worlds and agents; a context manager that removes everything.

    `tools`: where our C programs are, compiled; None: `compile_tools` makes them. `patience_s`: how long
    an agent may take to come up.
    """

    def __init__(self, tools: Path | None = None, patience_s: float = 60) -> None:
        self.tag = f"segbench-{secrets.token_hex(2)}"
        self.undo = contextlib.ExitStack()
        self.folder = Path()
        self.tools = tools
        self.patience_s = patience_s
        self.left_over: list[str] = []

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))
        self.undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, *exception: object) -> None:
        # A second Ctrl-C must not leave half of it behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self.undo.close()

    def compile_tools(self, *names: str) -> None:
        if self.tools is None:
            self.tools = compiled(self.folder, names)

    def tool(self, name: str) -> Path:
        return (self.tools or self.folder) / name

    def spawn(self, *argv: str | Path, **options: Any) -> subprocess.Popen[Any]:
        """A process of ours, in a session of its own: Ctrl-C must reach us alone, and we end it."""
        process = subprocess.Popen(argv, start_new_session=True, **options)
        self.undo.callback(end, process)
        return process

    def namespace(self, name: str, ip: str = "") -> Box:
        """A new one, with a process in it."""
        box = Box(f"{self.tag}-{name}", ip)
        run("ip", "netns", "add", box.name)
        self.undo.callback(_delete_netns, box.name)
        holder = self.spawn(*box.command("sleep", "infinity"))
        wanted = Path(box.path).stat().st_ino
        space = Path(f"/proc/{holder.pid}/ns/net")
        wait_until(
            lambda: space.stat().st_ino == wanted,
            5,
            f"nsenter did not enter {box.name}",
        )
        box.pid = holder.pid
        box.run("ip", "link", "set", "lo", "up")
        return box

    def world(self, name: str, number: int) -> World:
        """Bridge br0 and two boxes on it, addresses 10.214.NUMBER.0/24."""
        subnet = f"{PREFIX}.{number}"
        host = self.namespace(f"{name}-host", f"{subnet}.1")
        host.run("ip", "link", "add", "br0", "type", "bridge")
        host.run("ip", "addr", "add", f"{host.ip}/24", "dev", "br0")
        host.run("ip", "link", "set", "br0", "up")
        boxes = []
        for role, last in (("client", 2), ("server", 3)):
            box = self.namespace(f"{name}-{role}", f"{subnet}.{last}")
            peer = f"to-{role}"
            box.run(
                *("ip", "link", "add", "eth0", "type", "veth"),
                *("peer", "name", peer, "netns", host.name),
            )
            host.run("ip", "link", "set", peer, "master", "br0", "up")
            box.run("ip", "addr", "add", f"{box.ip}/24", "dev", "eth0")
            box.run("ip", "link", "set", "eth0", "up")
            box.run("ip", "route", "add", "default", "via", host.ip)
            boxes.append(box)
        return World(name, host, boxes[0], boxes[1])

    @staticmethod
    def settle(world: World) -> None:
        """Wait for IPv6's duplicate address detection: it takes two seconds, and sends meanwhile."""
        show = ("ip", "-6", "addr", "show", "tentative")
        wait_until(
            lambda: not (world.client.run(*show) + world.server.run(*show)),
            10,
            f"an address of {world.name} stays tentative",
        )

    def start_servers(self, world: World) -> None:
        """iperf3, sockperf and the UDP counter, waiting in the world's server."""
        server = world.server
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        }
        for argv in (
            ("iperf3", "-s", "-p", str(IPERF_PORT)),
            *(
                (*on_core(place, -1), "sockperf", "sr", "--tcp", "-p", str(port))
                for place, port in PLACEMENTS.items()
            ),
            (self.tool("bench_udp"), "receive", str(UDP_PORT)),
        ):
            self.spawn(*server.command(*argv), **quiet)
        ports = {IPERF_PORT, *PLACEMENTS.values()}
        wait_until(
            lambda: all(f":{port} " in server.run("ss", "-Hltn") for port in ports),
            10,
            f"not all of the ports {ports} are listened to in {server.name}",
        )


def compiled(folder: Path, names: Sequence[str]) -> Path:
    """The folder, with these of our C programs in it."""
    for name in names:
        source = ROOT / f"scripts/{name}.c"
        target = folder / name
        run("gcc", "-O2", "-std=gnu11", "-pthread", "-o", target, source)
    return folder


def first_line(process: subprocess.Popen[Any]) -> Any:
    """What it says as soon as it is ready, bytes or text as it was started; BenchError where it ends
    without a word.
    """
    line = process.stdout.readline() if process.stdout else None
    if not line:
        raise BenchError(f"ended without a word: {process.args!r}")
    return line


def on_core(placement: str, which: int) -> tuple[str, ...]:
    """What to put before a command: its core, which of them if the ends are apart (0: first, -1: last)."""
    return ("taskset", "-c", str(CPUS[which if placement == "apart" else 0]))


def _delete_netns(name: str) -> None:
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


class Agent:
    """A segctl instance of the benchmark's own, from `agent run` to nothing left."""

    def __init__(self, lab: Lab, role: str, *, flow_cache: bool) -> None:
        self.lab = lab
        self.instance = Instance(f"{lab.tag}-{role}")
        self.log = lab.folder / f"{role}.log"
        self.engine: tuple[int, str] | None = None
        self.client = AgentClient(self.instance)
        self._environment = {**os.environ, "SEGCTL_INSTANCE": self.instance.name}
        option = "--flow-cache" if flow_cache else "--no-flow-cache"
        with self.log.open("w") as log:
            self.process = lab.spawn(
                *(SEGCTL, "agent", "run", option),
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        # After spawn's own, so before it: first ask for a detach, then end the process.
        lab.undo.callback(self.remove)
        status = wait_until(
            self._status, lab.patience_s, f"the agent {role} does not answer"
        )
        if status.get("engine", {}).get("pid"):
            pid = status["engine"]["pid"]
            self.engine = (pid, start_time(pid))
        self.client.apply_policy(POLICY)

    def _status(self) -> dict[str, Any] | None:
        if self.process.poll() is not None:
            raise BenchError(f"`segctl agent run` ended: {self.last_words()}")
        try:
            status = self.client.status()
        except SegctlError:
            return None
        return status if status["engine"]["state"] == "running" else None

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-800:].strip()

    def pids(self) -> dict[str, int]:
        """The agent's and the engine's process."""
        status = self.client.status()
        return {"agent": status["pid"], "engine": status["engine"]["pid"]}

    def attach(self, box: Box, name: str, **options: Any) -> dict[str, Any]:
        return self.client.attach(pid=box.pid, name=name, mode="protect", **options)

    def steered(self, names: list[str]) -> dict[str, int]:
        """Packets of these workloads by counter (`flow_allow`, `to_engine`, drops …)."""
        total: dict[str, int] = {}
        for name in names:
            for port in self.client.workload(name)["ports"]:
                for row in port["counters"]:
                    reason = row["reason"]
                    total[reason] = total.get(reason, 0) + row["packets"]
        return total

    def remove(self) -> None:
        """Detach all, end agent and engine, and sweep what they should not have left. Idempotent."""
        deadline = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < deadline:
            # It may be starting still: an agent that is killed then leaves what it has made.
            try:
                self.client.stop(detach=True)
            except SegctlError:
                time.sleep(0.1)
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
        end(self.process)
        if self.engine and start_time(self.engine[0]) == self.engine[1]:
            self._left(f"engine process {self.engine[0]}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.engine[0], signal.SIGKILL)
        if self.instance.netns.exists():
            self._left(f"network namespace {self.instance.name}")
            _delete_netns(self.instance.name)
        if self.instance.pin_root.exists():
            self._left(f"pins under {self.instance.pin_root}")
        for path in (
            self.instance.pin_root,
            self.instance.run_dir,
            self.instance.state_dir,
        ):
            shutil.rmtree(path, ignore_errors=True)

    def _left(self, what: str) -> None:
        """The agent should have removed it."""
        self.lab.left_over.append(what)
        print(f"  left over by the agent, removed now: {what}", file=sys.stderr)


def start_time(pid: int) -> str:
    """When a process started, in the kernel's words; empty where there is none. Tells a process
    from a later one that has its pid.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def proportional_size(pid: int) -> dict[str, float]:
    """MB (10^6 bytes) of a process: its proportional set size, of which packet rings, its RSS."""
    kib = {"pss": 0, "rss": 0, "rings": 0}
    in_ring = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head, *rest = line.split()
        if not head.endswith(":"):
            in_ring = bool(rest) and rest[-1].startswith("socket:")
        elif head == "Pss:":
            kib["pss"] += int(rest[0])
            kib["rings"] += int(rest[0]) if in_ring else 0
        elif head == "Rss:":
            kib["rss"] += int(rest[0])
    return {key: value * 1024 / 1e6 for key, value in kib.items()}


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

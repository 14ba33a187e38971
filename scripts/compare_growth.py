"""What a packet costs as more pairs are attached: 1, 10, 100, 1000.

In: a lab, rounds. Out: `raw["growth_back"]` and `raw["growth_decided"]`, ns a packet by driver and size.
Each driver and size has an enforcer namespace of its own, all side by side, with one pair that carries
frames and the rest beside it: links, map entries and rules on vbr-neuv made by the product's own code.
What the other pairs have on their own ports is left out, for no frame of another pair meets it, and
they are written without what an attach looks up first, which a guest has no time for.

    back      frames enter vbr-neuv as the engine sends them, and go to the workload: where u32 walks
              its rules and ebpf looks one entry up
    decided   frames enter the workload's original port, and the verdict cache knows their flow

The pair that is measured has the highest port id, so in u32's list, ordered by pref, it is the LAST:
the cost of a walk past all others. u32's average pair is met half as far; ebpf has no order.
Everything from the frame's entry to the workload's socket runs on the sender's core (veth pairs hand
over in place), so time by frames that arrived is the cost of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench_lab import BenchError, Box, Lab, on_core, run, wait_until
from bench_rounds import Rounds, say
from compare_figures import SIZES

from fallback_tc import netlink
from pyctl import abi
from pyctl.datapath.ebpf.driver import EbpfDriver
from pyctl.datapath.u32.driver import U32Driver
from pyctl.datapath.u32.plan import BRIDGE, VBR
from pyctl.datapath.u32.session import Session
from pyctl.engine.launch import start_engine
from pyctl.engine.rings import open_rings
from pyctl.errors import SegctlError
from pyctl.intercept.enforcer import VTH, ensure_enforcer, remove_enforcer
from pyctl.model.instance import Instance
from pyctl.model.policy import Action, PortPolicy
from pyctl.model.workload import DatapathKind, Fail, Mode, PortPair
from pyctl.platform.netlink.client import Message
from pyctl.platform.tc.filters import TcFilters

DRIVERS: dict[str, type[EbpfDriver | U32Driver]] = {
    "ebpf": EbpfDriver,
    "u32": U32Driver,
}
PORT = 7113
CLIENT_IP, SERVER_IP = "10.215.0.2", "10.215.0.3"
CLIENT_MAC, SERVER_MAC = "02:42:0a:d7:00:02", "02:42:0a:d7:00:03"
GENERATION = 1
ARRIVE = 0.95
"""Of what was sent. Below, a core's backlog overflowed, and what was dropped cost something too."""
END_S = 10
AT_ONCE = 50
"""Pairs whose rules go to the kernel in one write."""


def pair_of(port_id: int) -> PortPair:
    """In namespaces of its own, a port's interfaces are numbered by its id."""
    return PortPair(
        port_id=port_id,
        vex_ifindex=2 * port_id + 100,
        vin_ifindex=2 * port_id + 101,
        mac=SERVER_MAC,
        host_mac=None,
        kind="veth",
        mode=Mode.PROTECT,
        fail=Fail.CLOSED,
        pass_other=False,
        any_source=False,
        addresses=(f"{SERVER_IP}/24",),
    )


@dataclass
class Site:
    """An enforcer namespace with `size` pairs; behind the last of them a client and a server."""

    driver: EbpfDriver | U32Driver
    size: int
    client: Box
    server: Box

    @property
    def name(self) -> str:
        """As `Rounds` wants it."""
        return f"{self.driver.kind}_{self.size}"

    @property
    def pair(self) -> PortPair:
        """The one that is measured."""
        return pair_of(self.size)

    def arrived(self) -> int:
        """Frames that the server's interface has got."""
        text = Path(f"/proc/{self.server.pid}/net/dev").read_text(encoding="ascii")
        line = next(one for one in text.splitlines() if one.lstrip().startswith("eth0"))
        return int(line.split(":")[1].split()[1])

    def carried(self) -> int:
        """Frames that the verdict cache let through."""
        found = self.driver.counters(self.pair.port_id).get("flow_allow")
        return found.packets if found else 0


class Growth(Rounds[Site]):
    """All sizes of the drivers, in turn. `keep` is called after each series."""

    def __init__(self, lab: Lab, drivers: list[str], keep: Callable[[], None]) -> None:
        super().__init__(lab)
        self.drivers = drivers
        self.keep = keep

    def measure(self, rounds: int, seconds: float) -> None:
        """Make the sites, then both series."""
        for size in SIZES:
            for name in self.drivers:
                say(f"{name} with {size} pairs")
                with self.figure(f"growth, {name} with {size} pairs"):
                    self.worlds.append(self._site(DRIVERS[name], size))
        back = partial(self._one, series="back", seconds=seconds)
        with self.figure("growth_back"):
            self.interleave("growth_back", rounds, back)
        self.keep()
        self.worlds = [
            site for site in self.worlds if site.driver.kind is DatapathKind.EBPF
        ]
        if self.worlds:
            decided = partial(self._one, series="decided", seconds=seconds)
            with self.figure("growth_decided"):
                self.interleave("growth_decided", rounds, decided)
        self.keep()

    def _one(self, site: Site, series: str, seconds: float) -> dict[str, float]:
        """One burst: ns for each frame that arrived."""
        mac = SERVER_MAC
        enter, interface = site.client.command, "eth0"
        if series == "back":
            mac = abi.ucmac(site.pair.port_id).hex(":")
            netns = f"--net={site.driver.instance.netns}"
            enter, interface = partial(_nsenter, netns), VTH
        arrived, carried = site.arrived(), site.carried()
        out = run(
            *enter(*on_core("apart", 0), self.lab.tool("bench_inject"), interface),
            *(mac, CLIENT_MAC, CLIENT_IP, SERVER_IP, str(PORT), f"{seconds:g}"),
            seconds=seconds + 40,
        )
        told = json.loads(out)
        arrived = site.arrived() - arrived
        share = arrived / told["sent"]
        if share < ARRIVE:
            raise ValueError(f"of {told['sent']} frames {arrived} arrived")
        if series == "decided" and site.carried() - carried < ARRIVE * arrived:
            raise ValueError("the verdict cache did not carry them")
        return {"ns": told["ns"] / share, "arrived": share}

    def _site(self, kind: type[EbpfDriver | U32Driver], size: int) -> Site:
        name = f"{kind.kind}{size}"
        instance = Instance(f"{self.lab.tag}-g{name}")
        self.lab.undo.callback(_remove, instance)
        ensure_enforcer(instance)
        site = Site(
            kind(instance),
            size,
            self.lab.namespace(f"{name}-client"),
            self.lab.namespace(f"{name}-server"),
        )
        _wire(site)
        site.driver.connect()
        others = [pair_of(port_id) for port_id in range(1, size)]
        started = time.monotonic()
        if isinstance(site.driver, EbpfDriver):
            for pair in others:
                site.driver._write(pair)  # noqa: SLF001  attach, without its look at all others
            self._start_engine(site)
        else:
            _fill_u32(instance, others)
        site.driver.attach(site.pair)
        site.driver.publish({site.pair.port_id: GENERATION})
        self.lab.spawn(
            *site.server.command(self.lab.tool("bench_inject"), "sink", str(PORT))
        )
        wait_until(lambda: f":{PORT} " in site.server.run("ss", "-Hlun"), 20, "no sink")
        say(f"  filled in {time.monotonic() - started:.1f} s")
        return site

    def _start_engine(self, site: Site) -> None:
        """What judges the first frame of a flow, and remembers the verdict."""
        instance = site.driver.instance
        engine = start_engine(instance, timeout=self.lab.patience_s)
        pid = engine.hello()["pid"]

        def stop() -> None:
            with contextlib.suppress(SegctlError):
                engine.stop()
            try:
                wait_until(
                    lambda: os.waitpid(pid, os.WNOHANG)[0], END_S, "it does not end"
                )
            except BenchError:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

        self.lab.undo.callback(stop)
        port_id = site.pair.port_id
        policy = PortPolicy(port_id, Mode.PROTECT, SERVER_MAC, (), Action.ALLOW)
        engine.policy_set(GENERATION, policy)
        with open_rings(instance.netns) as rings:
            engine.give_rings(rings)


def _nsenter(netns: str, *argv: str | Path) -> tuple[str | Path, ...]:
    return ("nsenter", netns, *argv)


def _wire(site: Site) -> None:
    """The links of all pairs; those of the last lead to the client and the server."""
    lines = [
        f"link add vex{one.port_id} index {one.vex_ifindex} type veth"
        f" peer name vin{one.port_id} index {one.vin_ifindex}"
        for one in map(pair_of, range(1, site.size))
    ]
    pair = site.pair
    for end, index, box, mac, ip in (
        ("vex", pair.vex_ifindex, site.client, CLIENT_MAC, CLIENT_IP),
        ("vin", pair.vin_ifindex, site.server, SERVER_MAC, SERVER_IP),
    ):
        link = f"{end}{pair.port_id}"
        peer = f"peer name eth0 address {mac} netns {box.name}"
        lines.append(f"link add {link} index {index} type veth {peer}")
        lines.append(f"link set {link} arp off up")
        box.ip = ip
    batch = "\n".join(lines) + "\n"
    argv = ("nsenter", f"--net={site.driver.instance.netns}", "ip", "-batch", "-")
    subprocess.run(
        argv, input=batch, text=True, check=True, timeout=300, capture_output=True
    )
    for box in (site.client, site.server):
        box.run("ip", "addr", "add", f"{box.ip}/24", "dev", "eth0")
        box.run("ip", "link", "set", "eth0", "up")


def _fill_u32(instance: Instance, pairs: list[PortPair]) -> None:
    """The ways back of these pairs on vbr-neuv, as the driver writes them."""
    with TcFilters(instance.netns) as tc:
        session = Session(tc)
        indexes = {BRIDGE: VBR}
        messages = []
        for pair in pairs:
            goal = session.plan(pair)
            indexes |= {
                goal.pair.vex: pair.vex_ifindex,
                goal.pair.vin: pair.vin_ifindex,
            }
            messages += [
                netlink.add(rule, indexes.__getitem__) for rule in goal.bridge_rules()
            ]
        for at in range(0, len(messages), AT_ONCE):
            some = messages[at : at + AT_ONCE]
            tc.send(
                "adding rules", [Message(one.kind, one.body, one.flags) for one in some]
            )


def _remove(instance: Instance) -> None:
    """Filters end with the namespace, maps and programs with their pins."""
    with contextlib.suppress(SegctlError):
        remove_enforcer(instance)
    shutil.rmtree(instance.pin_root, ignore_errors=True)
    shutil.rmtree(instance.run_dir, ignore_errors=True)

"""A datapath with very many pairs, of which one carries frames: what a packet costs is measured there.

Depends on: root, bcc. Each has an enforcer namespace of its own. The other pairs have their links, map
entries and rules on vbr-neuv, made by the product's own code; what they have on their own ports is left
out, for no frame of another pair meets it. They are written without what an attach looks up first: that
grows with their number, and an emulated machine has no time for it.

The pair that is measured has the highest port id, so in u32's list, ordered by pref, it is the LAST.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

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
from pyctl.model.workload import Fail, Mode, PortPair
from pyctl.platform.netlink.raw import Message
from pyctl.platform.tc.rule_sets import RuleSets
from tests.lab.net.netns import Lab, Netns
from tests.lab.pace import LabError, patient, wait_for

DRIVERS: dict[str, type[EbpfDriver | U32Driver]] = {
    "ebpf": EbpfDriver,
    "u32": U32Driver,
}
CLIENT_IP, SERVER_IP = "10.215.0.2", "10.215.0.3"
CLIENT_MAC, SERVER_MAC = "02:42:0a:d7:00:02", "02:42:0a:d7:00:03"
GENERATION = 1
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


class Pairs:
    """`size` pairs of one driver; behind the last of them a client and a server. Goes with the lab."""

    def __init__(self, lab: Lab, kind: str, size: int) -> None:
        self.kind, self.size = kind, size
        self.pair = pair_of(size)
        instance = Instance(f"{lab.tag}-{kind}{size}")
        lab.undo.callback(_remove, instance)
        ensure_enforcer(instance)
        self.enforcer = Netns(instance.name)
        self.client = lab.netns(f"{kind}{size}-client")
        self.server = lab.netns(f"{kind}{size}-server")
        self._wire()
        self.driver = DRIVERS[kind](instance)
        self.driver.connect()
        others = [pair_of(port_id) for port_id in range(1, size)]
        if isinstance(self.driver, EbpfDriver):
            for pair in others:
                self.driver._write(pair)
            self._start_engine(lab)
        else:
            _fill_u32(instance, others)
        self.driver.attach(self.pair)
        self.driver.publish({size: GENERATION})

    @property
    def name(self) -> str:
        """What tells it from the lab's others."""
        return f"{self.kind}_{self.size}"

    @property
    def entries(self) -> dict[str, tuple[Netns, str, str]]:
        """(where a sender stands, its interface, the destination MAC) for frames from the client, and for
        frames as the engine sends them back to the workload."""
        back = abi.ucmac(self.size).hex(":")
        return {
            "decided": (self.client, "eth0", SERVER_MAC),
            "back": (self.enforcer, VTH, back),
        }

    def arrived(self) -> int:
        """Frames that the server's interface has got."""
        text = Path(f"/proc/{self.server.pid}/net/dev").read_text(encoding="ascii")
        line = next(one for one in text.splitlines() if one.lstrip().startswith("eth0"))
        return int(line.split(":")[1].split()[1])

    def carried(self) -> int:
        """Frames that the verdict cache let through."""
        found = self.driver.counters(self.size).get("flow_allow")
        return found.packets if found else 0

    def _wire(self) -> None:
        """The links of all pairs; those of the last lead to the client and the server."""
        lines = [
            f"link add vex{one.port_id} index {one.vex_ifindex} type veth"
            f" peer name vin{one.port_id} index {one.vin_ifindex}"
            for one in map(pair_of, range(1, self.size))
        ]
        for end, index, box, mac in (
            ("vex", self.pair.vex_ifindex, self.client, CLIENT_MAC),
            ("vin", self.pair.vin_ifindex, self.server, SERVER_MAC),
        ):
            link = f"{end}{self.size}"
            peer = f"peer name eth0 address {mac} netns {box.name}"
            lines.append(f"link add {link} index {index} type veth {peer}")
            lines.append(f"link set {link} arp off up")
        self.enforcer.batch(*lines)
        for box, ip in ((self.client, CLIENT_IP), (self.server, SERVER_IP)):
            box.batch(f"addr add {ip}/24 dev eth0", "link set eth0 up")

    def _start_engine(self, lab: Lab) -> None:
        """What judges the first frame of a flow, and remembers the verdict."""
        instance = self.driver.instance
        engine = start_engine(instance, timeout=patient(60))
        pid = engine.hello()["pid"]

        def stop() -> None:
            with contextlib.suppress(SegctlError):
                engine.stop()
            try:
                wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0], 10)
            except LabError:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

        lab.undo.callback(stop)
        policy = PortPolicy(self.size, Mode.PROTECT, SERVER_MAC, (), Action.ALLOW)
        engine.policy_set(GENERATION, policy)
        with open_rings(instance.netns) as rings:
            engine.give_rings(rings)


def _fill_u32(instance: Instance, pairs: list[PortPair]) -> None:
    """The ways back of these pairs on vbr-neuv, as the driver writes them."""
    with RuleSets(instance.netns) as tc:
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

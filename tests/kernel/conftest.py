"""The programs under BPF_PROG_TEST_RUN: maps of their own, one port on the loopback device."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pyctl import abi
from pyctl.datapath.maps import sum_counter
from pyctl.datapath.pins import open_map, pin_dir
from pyctl.datapath.seal import pack_sealed
from pyctl.model.instance import Instance
from pyctl.model.workload import Counter
from pyctl.platform.bpf.ring import RingReader
from tests import packets
from tests.kernel.programs import Program
from tests.lab.datapath.pool import HASHES, loaded_once

LOOPBACK = 1
"""PROG_TEST_RUN's device where none is named: its ifindex is the port's."""
PORT, OTHER_PORT = 0x0102, 0x0203
PEER, VEX, VIN = 77, 78, 79
GENERATION = 5
CLASS_VERSION = 3
SECRET = [secrets.randbits(64) for _ in range(7)]
"""seg_control's, of the seals."""
SEGMENT = 9


def raw(mac: str) -> list[int]:
    return list(bytes.fromhex(mac.replace(":", "")))


@dataclass
class Outcome:
    """What one frame met."""

    verdict: int
    reasons: dict[str, Counter]
    frame: bytes

    @property
    def reason(self) -> str:
        """The only reason that was counted."""
        assert len(self.reasons) == 1, self.reasons
        return next(iter(self.reasons))


@dataclass
class Lab:
    """One loaded datapath and the state of its one port."""

    instance: Instance
    programs: dict[str, Program] = field(default_factory=dict)
    vth: socket.socket | None = None

    def copies(self) -> list[bytes]:
        """What taps have sent to the engine since the last question."""
        found = []
        while select.select([self.vth], [], [], 0 if found else 0.05)[0]:
            found.append(self.vth.recv(1 << 16))
        return found

    def write(self, name: str, key: bytes, value: bytes) -> None:
        with open_map(self.instance, name) as opened:
            opened.update(key, value)

    def clear(self) -> None:
        """No port, address, flow or count; the engine alive."""
        for name in HASHES:
            with open_map(self.instance, name) as opened:
                for key in opened.entry_keys():
                    opened.delete(key)
        for port_id in (PORT, OTHER_PORT):
            self.generation(0, port_id)
            self.credit(1 << 30, port_id)
            size = abi.sizeof("seg_reinject_port")
            self.write("seg_reinject", struct.pack("=I", port_id), bytes(size))
        self.heartbeat()

    def heartbeat(self, *, stale: bool = False) -> None:
        """The engine's last sign of life is now, or longer ago than is waited for."""
        if stale:
            self.control(heartbeat_ns=1, heartbeat_timeout_ns=1)
        else:
            self.control()

    def control(self, **fields: object) -> None:
        """The engine lives, and says that."""
        known = {
            "heartbeat_ns": time.monotonic_ns() + 60_000_000_000,
            "heartbeat_timeout_ns": 4_000_000_000,
            "flow_secret": SECRET,
            "class_version": CLASS_VERSION,
        }
        value = abi.pack("seg_control", **{**known, **fields})
        self.write("seg_control", bytes(4), value)

    def generation(self, generation: int, port_id: int = PORT) -> None:
        self.write(
            "seg_gens", struct.pack("=I", port_id), struct.pack("=Q", generation)
        )

    def credit(self, connections: int, port_id: int = PORT) -> None:
        """So many connections may programs open for the port."""
        self.write(
            "seg_credits-0", struct.pack("=I", port_id), struct.pack("=q", connections)
        )

    def port_value(
        self, role: str, ifindex: int, mode: str = "protect", *flags: str, **fields: int
    ) -> bytes:
        """The value of a port with pod one's MAC; flags without SEG_PORT_."""
        known = {"port_id": PORT, "owner": PORT, "segment": SEGMENT}
        return pack_sealed(
            "seg_port",
            struct.pack("=I", ifindex),
            peer_ifindex=PEER,
            role=abi.constant(f"SEG_ROLE_{role.upper()}"),
            mode=abi.constant(f"SEG_MODE_{mode.upper()}"),
            mac=raw(packets.pod_one_mac),
            flags=sum(abi.constant(f"SEG_PORT_{flag}") for flag in flags),
            **{**known, **fields},
        )

    def address_entry(
        self, ip: str, owner: int = PORT, kind: str = "own"
    ) -> tuple[bytes, bytes]:
        address = ipaddress.ip_address(ip)
        name = abi.pack(
            "seg_addr_key",
            owner=owner,
            family=address.version,
            kind=abi.constant(f"SEG_ADDR_{kind.upper()}"),
            addr=list(address.packed.ljust(16, b"\0")),
        )
        return name, b"\1"

    def owner_entry(
        self, ip: str, segment: int = 0, **said: int
    ) -> tuple[bytes, bytes]:
        address = ipaddress.ip_address(ip)
        name = abi.pack(
            "seg_owner_key",
            segment=segment,
            family=address.version,
            addr=list(address.packed.ljust(16, b"\0")),
        )
        return name, pack_sealed("seg_owner", name, **said)

    def mac_entry(self, mac: str, **said: int) -> tuple[bytes, bytes]:
        name = abi.pack("seg_mac_key", segment=SEGMENT, mac=raw(mac))
        return name, pack_sealed("seg_mac", name, **said)

    def port(self, role: str, mode: str = "protect", *flags: str) -> None:
        """Pod one's port on the loopback device; flags without SEG_PORT_."""
        value = self.port_value(role, LOOPBACK, mode, *flags)
        self.write("seg_ports", struct.pack("=I", LOOPBACK), value)
        for ip in (
            packets.pod_one_ip4,
            packets.pod_one_ip6,
            packets.pod_one_link_local_ip6,
        ):
            self.write("seg_addrs", *self.address_entry(ip))

    def back(self, port_id: int = PORT, flags: int = 0) -> None:
        """seg_reinject of a port whose MAC is pod one's."""
        value = abi.pack(
            "seg_reinject_port",
            vex_ifindex=VEX,
            vin_ifindex=VIN,
            mac=raw(packets.pod_one_mac),
            vex_flags=flags,
            vin_flags=flags,
        )
        self.write("seg_reinject", struct.pack("=I", port_id), value)

    def elsewhere(self, port_id: int) -> None:
        """seg_reinject of a port of another datapath."""
        flags = abi.constant("SEG_PORT_ELSEWHERE")
        value = abi.pack("seg_reinject_port", vex_flags=flags)
        self.write("seg_reinject", struct.pack("=I", port_id), value)

    def run(
        self,
        program: str,
        frame: bytes,
        *,
        gso_size: int = 0,
        mark: int = 0,
        ifindex: int = 0,
        times: int = 1,
    ) -> Outcome:
        """So many times the same frame: what the last one met, and what all were counted as."""
        with open_map(self.instance, "seg_counters") as counters:
            for key in counters.entry_keys():
                counters.delete(key)
            for _ in range(times):
                result = self.programs[program].test_run(
                    frame, gso_size=gso_size, mark=mark, ifindex=ifindex
                )
            reasons = {}
            for key, value in counters.entries():
                number = abi.unpack("seg_counter_key", key).reason
                total = sum_counter(counters.split(value))
                reasons[abi.REASONS[number].name] = total
        return Outcome(result.retval, reasons, result.data)


@contextlib.contextmanager
def _bridge() -> Iterator[socket.socket]:
    """vbr and vth in the sandbox's own namespace, where the programs run; a socket on vth. Without link-local
    addresses: the kernel's own router solicitations would look like copies.
    """
    indexes = [str(abi.constant(f"SEG_{end}_IFINDEX")) for end in ("VBR", "VTH")]
    for words in (
        f"add vbr-neuv index {indexes[0]} arp off type veth peer vth-neuv index {indexes[1]}",
        "set vbr-neuv addrgenmode none",
        "set vth-neuv addrgenmode none",
        "set vth-neuv arp off up",
        "set vbr-neuv up",
    ):
        subprocess.run(["ip", "link", *words.split()], check=True)
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as vth:
            vth.bind(("vth-neuv", 3))
            yield vth
    finally:
        subprocess.run(["ip", "link", "del", "vbr-neuv"], check=True)


@pytest.fixture(scope="session")
def loaded() -> Iterator[Lab]:
    """Name: loaded. Scope: session. Depends: root, bcc. One set of pins for all kernel tests, of the pool."""
    instance = Instance(f"segt-{secrets.token_hex(4)}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(loaded_once(instance))
        lab = Lab(instance)
        for hook in ("vex", "vin", "vbr"):
            path = pin_dir(instance) / f"seg_from_{hook}"
            lab.programs[hook] = stack.enter_context(Program.open(path))
        path = pin_dir(instance) / "seg_to_port"
        lab.programs["to_port"] = stack.enter_context(Program.open(path))
        lab.vth = stack.enter_context(_bridge())
        yield lab


@pytest.fixture
def kernel(loaded: Lab) -> Lab:
    """Name: kernel. Scope: function. The loaded programs over empty maps, the engine alive."""
    loaded.clear()
    return loaded


@pytest.fixture
def one_cpu() -> Iterator[int]:
    """Name: one_cpu. Scope: function. Depends: nothing. Its number; the thread is held there."""
    allowed = os.sched_getaffinity(0)
    number = max(allowed)
    os.sched_setaffinity(0, {number})
    try:
        yield number
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture
def opens(kernel: Lab) -> Iterator[RingReader]:
    """Name: opens. Scope: function. Depends: kernel. What the engine would be told."""
    with RingReader(open_map(kernel.instance, "seg_opens-0")) as ring:
        ring.read()
        yield ring

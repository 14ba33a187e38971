"""What is attached: a workload, its process, its ports, and how each is steered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Mode(StrEnum):
    """What is done with a verdict; see README, "Modes"."""

    DISCOVER = "discover"
    MONITOR = "monitor"
    PROTECT = "protect"
    QUARANTINE = "quarantine"


class ModeSource(StrEnum):
    """Which answer to "what mode" held; the first of these that is given."""

    COMMAND = "command"
    """`segctl mode`."""
    POLICY = "policy"
    """The modes of the applied policy."""
    ATTACH = "attach"
    """`segctl attach --mode`."""
    DEFAULT = "default"


class Fail(StrEnum):
    """What the datapath does in protect while the engine is down; a tap passes everything. AUTO:
    closed.
    """

    AUTO = "auto"
    OPEN = "open"
    CLOSED = "closed"


class DatapathKind(StrEnum):
    """Which driver steers."""

    EBPF = "ebpf"
    U32 = "u32"


class OtherTraffic(StrEnum):
    """Frames that are neither IP nor ARP, or VLAN-tagged. AUTO: drop in protect, else pass."""

    AUTO = "auto"
    PASS = "pass"  # noqa: S105  no password
    DROP = "drop"


class Offload(StrEnum):
    """Segmentation and checksum offloads. OFF: as NeuVector, for comparison."""

    ON = "on"
    OFF = "off"


class RuntimeKind(StrEnum):
    """Who runs a workload."""

    DOCKER = "docker"
    PODMAN = "podman"
    PROCESS = "process"
    """Nobody: a process with a network namespace of its own."""


class LinkKind(StrEnum):
    """The kinds of interface that can be spliced."""

    VETH = "veth"
    MACVLAN = "macvlan"


@dataclass(frozen=True)
class ProcessRef:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    start_time: int
    """Field 22 of /proc/PID/stat, clock ticks since boot."""
    netns: tuple[int, int]
    """(st_dev, st_ino) of /proc/PID/ns/net."""


@dataclass(frozen=True)
class Port:
    """One spliced interface of a workload."""

    port_id: int
    """1..65535; the last two bytes of the UCMAC."""
    interface: str
    """Its name inside the workload."""
    kind: LinkKind
    vex: str
    vin: str
    vex_ifindex: int
    vin_ifindex: int
    mac: str
    host_mac: str | None
    """MAC of vex's peer, where redirect_peer towards it is right (DESIGN §2a); else None."""
    mtu: int
    addresses: tuple[str, ...]
    """The workload's addresses, `a.b.c.d/len` and `x::y/len`."""

    @property
    def ucmac(self) -> str:
        """The MAC of the detour through the engine."""
        return f"4e:65:75:56:{self.port_id >> 8:02x}:{self.port_id & 0xFF:02x}"


@dataclass(frozen=True)
class Workload:
    """One container (or process with a network namespace of its own), attached."""

    id: str
    """Stable while attached: the container's short id, or `pid-N`."""
    name: str
    process: ProcessRef
    labels: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    runtime: str = "process"
    """`docker`, `podman` or `process`."""
    datapath: DatapathKind = DatapathKind.EBPF
    attach_mode: Mode = Mode.DISCOVER
    """What `attach --mode` said."""
    forced_mode: Mode | None = None
    """What `segctl mode` said; None: the policy's modes, then attach_mode, decide."""
    mode_before: Mode | None = None
    """In quarantine: the forced mode to which its end goes back."""
    fail: Fail = Fail.AUTO
    other_traffic: OtherTraffic = OtherTraffic.AUTO
    any_source: bool = False
    offload: Offload = Offload.ON
    whole: bool = False
    """Its attach named no interface: those that it gets later are spliced too, and while its process
    lives it stays attached, also without any."""
    ports: tuple[Port, ...] = ()

    def forced(self, mode: Mode | None) -> Workload:
        """As `segctl mode` says. None gives the mode back: out of quarantine to the one before it,
        else to policy and attach.
        """
        in_quarantine = self.forced_mode is Mode.QUARANTINE
        if mode is Mode.QUARANTINE:
            before = self.mode_before if in_quarantine else self.forced_mode
            return replace(self, forced_mode=mode, mode_before=before)
        if mode is None and in_quarantine:
            mode = self.mode_before
        return replace(self, forced_mode=mode, mode_before=None)


@dataclass(frozen=True)
class PortPair:
    """All that a datapath driver must know to steer one port."""

    port_id: int
    vex_ifindex: int
    vin_ifindex: int
    mac: str
    host_mac: str | None
    kind: LinkKind
    mode: Mode
    fail: Fail
    """OPEN or CLOSED."""
    pass_other: bool
    any_source: bool
    addresses: tuple[str, ...]
    """With the prefix length, where it is known: it gives the subnet's broadcast address, which a
    group frame may carry.
    """


@dataclass(frozen=True)
class Counter:
    """A reason's count for one port."""

    packets: int = 0
    bytes: int = 0
    passed: int = 0
    """Of packets: let by because the mode only records."""

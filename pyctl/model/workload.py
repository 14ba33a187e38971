"""What is attached: a workload, its process, its ports, and how each is steered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv6Address

ADDRESSES_MAX = 512
"""A workload's own, and likewise those that it claims: more would fill the node's maps, and every policy
that names its group, at the cost of the others."""
PEER_KINDS = frozenset({"veth"})
"""The kinds of interface whose other end is a peer: the kernel's bpf_redirect_peer leads to no other device."""


class Mode(StrEnum):
    """What is done with a verdict; see `segctl mode --help`."""

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


@dataclass(frozen=True)
class Capabilities:
    """What a datapath can do by itself, without the engine."""

    verdict_cache: bool
    """Carry a flow that was decided."""
    fail_open: bool
    """In protect, let traffic pass while no engine lives."""
    source_check: bool
    """Compare source addresses and MACs, and so tell apart who is on one bridge."""


class DatapathKind(StrEnum):
    """Which driver steers."""

    EBPF = "ebpf"
    U32 = "u32"

    @property
    def capabilities(self) -> Capabilities:
        """What its driver can do."""
        able = self is DatapathKind.EBPF
        return Capabilities(verdict_cache=able, fail_open=able, source_check=able)


class OtherTraffic(StrEnum):
    """Frames that are neither IP nor ARP, or VLAN-tagged. AUTO: drop in protect, else pass."""

    AUTO = "auto"
    PASS = "pass"  # noqa: S105  no password
    DROP = "drop"


class Service(StrEnum):
    """What a workload may say to its link by protocols that no rule judges, or that any neighbour believes."""

    ROUTER = "router"
    """IPv6 router advertisements and redirects."""
    DHCP = "dhcp"
    """A DHCP server's answers."""


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


class FollowAddresses(StrEnum):
    """Which of the addresses that a workload gives itself later it may use."""

    NO = "no"
    FREE = "free"
    """Those that no other workload has and that are in no CIDR group."""
    ANY = "any"
    """Those that no other workload has."""


class ClaimState(StrEnum):
    """What became of an address that a workload gave itself."""

    FOLLOWED = "followed"
    """It is the workload's like those that it was given."""
    UNUSED = "unused"
    """It is no source address of the workload's."""
    REFUSED = "refused"
    """It would be another's: dropped as a source in every mode."""


@dataclass(frozen=True)
class ProcessRef:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    start_time: int
    """Field 22 of /proc/PID/stat, clock ticks since boot."""
    netns: tuple[int, int]
    """(st_dev, st_ino) of /proc/PID/ns/net. Another namespace has them soon after this one has died."""
    cookie: int = field(default=0, compare=False)
    """SO_NETNS_COOKIE of that namespace, which no other ever has; 0: not asked for, or Linux before 5.14."""


@dataclass(frozen=True)
class Claim:
    """An address that a workload gave itself after it was attached."""

    address: str
    """`a.b.c.d/len` or `x::y/len`."""
    interface: str
    state: ClaimState = ClaimState.UNUSED
    reason: str = ""


@dataclass(frozen=True)
class Port:
    """One spliced interface of a workload."""

    port_id: int
    """1..65535; the last two bytes of the UCMAC."""
    interface: str
    """Its name inside the workload."""
    kind: str
    """The kernel's word for what it was (IFLA_INFO_KIND)."""
    vex: str
    vin: str
    vex_ifindex: int
    vin_ifindex: int
    mac: str
    host_mac: str | None
    """MAC of vex's peer, where redirect_peer towards it is right; else None."""
    mtu: int
    addresses: tuple[str, ...]
    """Those that it had when it was attached, `a.b.c.d/len` and `x::y/len`."""
    xdp: bool = False
    """The workload has an XDP program on its interface, which redirect_peer would pass by."""
    segment: int = 0
    """The bridge that vex is on, as a number; 0: none, or not known."""
    closed: bool = False
    """Nobody beyond this host is on that bridge."""

    @property
    def ucmac(self) -> str:
        """The MAC of the detour through the engine."""
        return f"4e:65:75:56:{self.port_id >> 8:02x}:{self.port_id & 0xFF:02x}"


@dataclass(frozen=True)
class Segment:
    """What is known of one of the host's bridges that workloads are on."""

    host_macs: frozenset[str]
    """With which the host sends: the bridge's, and those of its ports."""
    closed: bool
    """All of its ports are veths: nobody beyond this host is on it."""


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
    serves: tuple[Service, ...] = ()
    offload: Offload = Offload.ON
    whole: bool = False
    """Its attach named no interface: those that it gets later are spliced too, and while its process
    lives it stays attached, also without any."""
    cut: tuple[str, ...] = ()
    """In quarantine: interfaces that are not inspected, and were set down at the host's side."""
    ports: tuple[Port, ...] = ()
    found: tuple[str, ...] = ()
    """Addresses that its interfaces without a port had when it was attached: lo, dummies."""
    told: tuple[str, ...] = ()
    """Addresses that its runtime gave it."""
    added: tuple[str, ...] = ()
    """Addresses of `attach --address`."""
    follow: FollowAddresses = FollowAddresses.NO
    claims: tuple[Claim, ...] = ()
    absent: tuple[str, ...] = ()
    """Of the addresses given, those that it had and that none of its interfaces has by now."""
    taken: tuple[str, ...] = ()
    """Of the absent, those that another workload has by now."""

    @property
    def given(self) -> tuple[str, ...]:
        """The addresses that others gave it, on whatever interface, each once."""
        ports = (text for port in self.ports for text in port.addresses)
        return tuple(dict.fromkeys((*ports, *self.found, *self.told, *self.added)))

    @property
    def held(self) -> tuple[str, ...]:
        """Those given that are its own by now: not the absent, and none without a port."""
        if not self.ports:
            return ()
        return tuple(text for text in self.given if text not in self.absent)

    @property
    def usual(self) -> tuple[str, ...]:
        """Those held, and those claimed that are followed; of more than ADDRESSES_MAX the first."""
        followed = ClaimState.FOLLOWED
        claimed = (one.address for one in self.claims if one.state is followed)
        known = (*self.held, *claimed) if self.ports else ()
        return tuple(dict.fromkeys(known))[:ADDRESSES_MAX]

    @property
    def spare(self) -> tuple[str, ...]:
        """Absent ones that nobody else has: nobody's, and usable from the moment that it has them again."""
        left = (text for text in self.absent if text not in self.taken)
        return tuple(left)[: ADDRESSES_MAX - len(self.usual)]

    @property
    def link_locals(self) -> tuple[str, ...]:
        """Those of its MACs, which come and go with their links."""
        return tuple(link_local(port.mac) for port in self.ports if port.mac)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All that it may use."""
        return tuple(dict.fromkeys((*self.usual, *self.link_locals)))

    @property
    def closed_segments(self) -> frozenset[int]:
        """The bridges that it is on and nobody beyond this host."""
        return frozenset(port.segment for port in self.ports if port.closed)

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


_LINK_LOCAL = bytes([0xFE, 0x80, 0, 0, 0, 0, 0, 0])


def link_local(mac: str) -> str:
    """The address that a link gets by its MAC (RFC 4291, modified EUI-64)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    tail = bytes([raw[0] ^ 2, *raw[1:3], 0xFF, 0xFE, *raw[3:]])
    return f"{IPv6Address(_LINK_LOCAL + tail)}/64"


@dataclass(frozen=True)
class PortPair:
    """All that a datapath driver must know to steer one port."""

    port_id: int
    vex_ifindex: int
    vin_ifindex: int
    mac: str
    host_mac: str | None
    kind: str
    """See Port."""
    mode: Mode
    fail: Fail
    """OPEN or CLOSED."""
    pass_other: bool
    any_source: bool
    addresses: tuple[str, ...]
    """All of the workload's. With the prefix length, where it is known: it gives the subnet's
    broadcast address, which a group frame may carry.
    """
    xdp: bool = False
    """See Port.xdp."""
    serves: tuple[Service, ...] = ()
    segment: int = 0
    """See Port."""
    owner: int = 0
    """The workload: the id of its first port; 0: of this one."""
    spare: tuple[str, ...] = ()
    """See Workload."""

    @property
    def redirect_peer(self) -> bool:
        """Tell whether bpf_redirect_peer may send to its ends; elsewhere frames take the plain bpf_redirect."""
        return self.kind in PEER_KINDS


@dataclass(frozen=True)
class Counter:
    """A reason's count for one port."""

    packets: int = 0
    bytes: int = 0
    passed: int = 0
    """Of packets: let by because the mode only records."""

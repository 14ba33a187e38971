"""What is attached: a workload, its process, its ports, and how each is steered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv6Address

ADDRESSES_MAX = 512
"""The most addresses of a workload, and the most that it claims: more would fill the node's maps, and every
policy that names its group, at the expense of other workloads."""
PEER_KINDS = frozenset({"veth"})
"""The kinds of interface whose other end is a peer: the kernel's bpf_redirect_peer leads to no other device."""


class Mode(StrEnum):
    """What a workload's ports do with a verdict; see `segctl mode --help`."""

    DISCOVER = "discover"
    MONITOR = "monitor"
    PROTECT = "protect"
    QUARANTINE = "quarantine"


class ModeSource(StrEnum):
    """Where the effective mode came from; the first of these that is given wins."""

    COMMAND = "command"
    """`segctl mode`."""
    POLICY = "policy"
    """The modes of the applied policy."""
    ATTACH = "attach"
    """`segctl attach --mode`."""
    DEFAULT = "default"


class Fail(StrEnum):
    """What the datapath does in protect while the engine is down; a tap passes everything. AUTO: closed."""

    AUTO = "auto"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class Capabilities:
    """What a datapath can do alone, without the engine; its driver says so."""

    verdict_cache: bool = False
    """Carry flows that are decided."""
    fail_open: bool = False
    """In protect, let traffic pass while no engine lives."""
    source_check: bool = False
    """Check source addresses and MACs, and so tell the workloads on one bridge apart."""


class DatapathKind(StrEnum):
    """The driver that steers a workload's frames."""

    EBPF = "ebpf"
    U32 = "u32"


class OtherTraffic(StrEnum):
    """What to do with frames that are neither IP nor ARP, or tagged. AUTO: drop in protect, else pass."""

    AUTO = "auto"
    PASS = "pass"  # noqa: S105  no password
    DROP = "drop"


class Service(StrEnum):
    """A service on the link, by protocols that no rule judges or that any neighbour believes."""

    ROUTER = "router"
    """IPv6 router advertisements and redirects."""
    DHCP = "dhcp"
    """A DHCP server's answers."""


class Offload(StrEnum):
    """Segmentation and checksum offloads. OFF: as NeuVector, for comparison."""

    ON = "on"
    OFF = "off"


class RuntimeKind(StrEnum):
    """The runtime that a workload belongs to."""

    DOCKER = "docker"
    PODMAN = "podman"
    PROCESS = "process"
    """Nobody: a process with a network namespace of its own."""


class FollowAddresses(StrEnum):
    """Which addresses that a workload assigns itself later it may use."""

    NO = "no"
    FREE = "free"
    """Those that no other workload has and that are in no CIDR group."""
    ANY = "any"
    """Those that no other workload has."""


class ClaimState(StrEnum):
    """What became of an address that a workload assigned itself."""

    FOLLOWED = "followed"
    """The workload may use it like an address that it was given."""
    UNUSED = "unused"
    """The workload may not use it as a source address."""
    REFUSED = "refused"
    """It would belong to another: as a source it is dropped in every mode."""


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
    """An address that a workload assigned itself after it was attached."""

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
    """The interface's addresses when it was attached, `a.b.c.d/len` and `x::y/len`."""
    xdp: bool = False
    """The workload has an XDP program on its interface, which redirect_peer would bypass."""
    segment: int = 0
    """The bridge that vex is on, as a number; 0: none, or not known."""
    closed: bool = False
    """Nobody beyond this host is on that bridge."""

    @property
    def ucmac(self) -> str:
        """Return the MAC of the detour through the engine."""
        return f"4e:65:75:56:{self.port_id >> 8:02x}:{self.port_id & 0xFF:02x}"


@dataclass(frozen=True)
class Segment:
    """What is known of one of the host's bridges that workloads are on."""

    host_macs: frozenset[str]
    """The MACs that the host sends with: the bridge's, and those of its ports."""
    closed: bool
    """All of its ports are veths: nobody beyond this host is on it."""


@dataclass(frozen=True)
class Workload:
    """One attached container, or process with a network namespace of its own."""

    id: str
    """Stable while attached: the container's short id, or `pid-N`."""
    name: str
    process: ProcessRef
    labels: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    runtime: str = "process"
    """`docker`, `podman` or `process`."""
    datapath: DatapathKind = DatapathKind.EBPF
    capabilities: Capabilities = Capabilities()
    """What its datapath's driver says that it can; not stored."""
    attach_mode: Mode = Mode.DISCOVER
    """What `attach --mode` said."""
    forced_mode: Mode | None = None
    """What `segctl mode` said; None: the policy's modes, then attach_mode, decide."""
    mode_before: Mode | None = None
    """In quarantine: the forced mode that returns when it ends."""
    fail: Fail = Fail.AUTO
    other_traffic: OtherTraffic = OtherTraffic.AUTO
    any_source: bool = False
    serves: tuple[Service, ...] = ()
    offload: Offload = Offload.ON
    all_interfaces: bool = False
    """Its attach named no interface: later interfaces are spliced too, and it stays attached without any
    while its process lives."""
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
        """Return the addresses that others assigned to the workload, on any interface, each once."""
        ports = (text for port in self.ports for text in port.addresses)
        return tuple(dict.fromkeys((*ports, *self.found, *self.told, *self.added)))

    @property
    def held(self) -> tuple[str, ...]:
        """Return the given addresses that the workload has now, without the absent ones; () without a port."""
        if not self.ports:
            return ()
        return tuple(text for text in self.given if text not in self.absent)

    @property
    def usual(self) -> tuple[str, ...]:
        """Return the held addresses and the followed claims: ADDRESSES_MAX at most."""
        followed = ClaimState.FOLLOWED
        claimed = (one.address for one in self.claims if one.state is followed)
        known = (*self.held, *claimed) if self.ports else ()
        return tuple(dict.fromkeys(known))[:ADDRESSES_MAX]

    @property
    def spare(self) -> tuple[str, ...]:
        """Return the absent addresses that nobody else has: the workload may use them as soon as it has them
        again.
        """
        left = (text for text in self.absent if text not in self.taken)
        return tuple(left)[: ADDRESSES_MAX - len(self.usual)]

    @property
    def link_locals(self) -> tuple[str, ...]:
        """Return the link-local addresses of the workload's MACs, which come and go with their links."""
        return tuple(link_local(port.mac) for port in self.ports if port.mac)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return all addresses that the workload may use."""
        return tuple(dict.fromkeys((*self.usual, *self.link_locals)))

    @property
    def closed_segments(self) -> frozenset[int]:
        """Return the bridges that the workload is on and that reach nobody beyond this host."""
        return frozenset(port.segment for port in self.ports if port.closed)

    def forced(self, mode: Mode | None) -> Workload:
        """Return the workload with the mode that `segctl mode` sets. None undoes it: quarantine gives way to
        the mode before it, any other to policy and attach.
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
    """Return the address that a link gets from its MAC (RFC 4291, modified EUI-64), with /64."""
    raw = bytes.fromhex(mac.replace(":", ""))
    tail = bytes([raw[0] ^ 2, *raw[1:3], 0xFF, 0xFE, *raw[3:]])
    return f"{IPv6Address(_LINK_LOCAL + tail)}/64"


@dataclass(frozen=True)
class PortPair:
    """All that a datapath driver needs to steer one port."""

    port_id: int
    vex_ifindex: int
    vin_ifindex: int
    mac: str
    host_mac: str | None
    kind: str
    """As in Port."""
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
    """As in Port.xdp."""
    serves: tuple[Service, ...] = ()
    segment: int = 0
    """As in Port."""
    owner: int = 0
    """The workload, as the id of its first port; 0: the id of this port."""
    spare: tuple[str, ...] = ()
    """As in Workload."""

    @property
    def redirect_peer(self) -> bool:
        """Return whether bpf_redirect_peer may send to the port's ends; if not, frames take plain
        bpf_redirect.
        """
        return self.kind in PEER_KINDS


@dataclass(frozen=True)
class Counter:
    """One port's count for one reason."""

    packets: int = 0
    bytes: int = 0
    passed: int = 0
    """Packets that passed because the mode only records."""

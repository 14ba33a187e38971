"""What a ruleset is asked for: which pair of ports, what is done with its frames, which holes close.

In: names, MACs, prefs. Out: frozen values. I/O: none. ValueError for pairs that no rule could steer.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from fallback_tc.rules import Parent, check_device, check_pref, mac_bytes

PREF_BASE = 10000
UCMAC_HEAD, BCMAC_HEAD = bytes.fromhex("4e657556"), bytes.fromhex("ffffff00")
"""The heads of MACs that mean a detour through the engine; the last two bytes are the port id."""
TAPMAC_HEAD = bytes.fromhex("4e657554")
"""The head of MACs that mark a copy of a frame that has gone on already."""
PREFS_BELOW, PREFS_ABOVE = 5, 9
"""How far the prefs of a port's rules reach around `Pair.pref_base`."""


class Steering(StrEnum):
    """The treatment of a pair's frames; NeuVector's FwdPortPair, TapPortPair, ResetPortPair."""

    FORWARD = "forward"
    """The engine holds each frame, and sends on what may pass."""
    TAP = "tap"
    """Each frame goes on at once, unaltered; the engine gets a copy, of which nothing comes back."""
    QUARANTINE = "quarantine"
    """Everything stops, ARP too, also what the engine still has."""


@dataclass(frozen=True)
class Options:
    """The extensions of the classic ruleset. `CLASSIC` has all of them off."""

    ipv6: bool = True
    """IPv6 goes to the engine too; neighbour discovery goes across."""
    groups: bool = True
    """What is addressed to IP groups goes to the engine, too; else across."""
    drop_spoofed: bool = True
    """Drop what leaves the workload with another source MAC; and ARP and neighbour discovery that speak for
    others, where `Pair.addresses` says who it is. Not in a tap."""
    drop_forged: bool = True
    """Drop what enters a port with a MAC that means a detour: aimed at another workload's, it would
    pass that one's policy by."""
    drop_stray: bool = True
    """Drop unicast from the world to another MAC than the workload's, and, both ways, unicast
    addresses under a group MAC, which a receiver may take for its own. Not in a tap."""
    drop_other: bool = True
    """Drop what is neither IP nor ARP, or has a VLAN tag. Not in a tap."""
    loop_guard: bool = True
    """On the bridge, drop what belongs to no pair, and what claims two."""
    redirect: bool = True
    """The frame itself goes the last way, not a copy: else the enforcer's own stack gets it too."""
    whole_macs: bool = True
    """Munge MACs whole, in the Ethernet header; see `rules.MungeMac`."""
    short_frames: bool = True
    """The rest goes across whatever its length: the classic rule's match of everything reads the
    payload's first four bytes, and misses frames that have less."""
    mark_copies: bool = True
    """A tap's copies have a MAC of their own, so that nothing takes one for a frame that is held,
    whatever the steering is by then, and what was held before it still comes back. Else they have
    the UCMAC, and the bridge drops all that has it."""
    drop_quarantined: bool = True
    """Quarantine by rules that drop; else by having no rules, which leaves it to the enforcer's
    stack to forward nothing."""
    parent: Parent = Parent.CLSACT_INGRESS


CLASSIC = Options(
    ipv6=False,
    groups=False,
    drop_spoofed=False,
    drop_forged=False,
    drop_stray=False,
    drop_other=False,
    loop_guard=False,
    redirect=False,
    whole_macs=False,
    short_frames=False,
    mark_copies=False,
    drop_quarantined=False,
    parent=Parent.INGRESS,
)


@dataclass(frozen=True)
class Pair:
    """The spliced interface of a workload, as rules name it."""

    vex: str
    vin: str
    bridge: str
    mac: str
    """The workload's MAC."""
    ucmac: str
    """The MAC that replaces it on the way through the engine."""
    pref_ex: int
    """The pref, on the bridge, of the rule that matches the UCMAC as destination and sends to vin."""
    pref_in: int
    """The pref, on the bridge, of the rule that matches the UCMAC as source and sends to vex."""
    broadcasts: tuple[str, ...] = ()
    """The IPv4 broadcast addresses of the workload's subnets: all else that a group MAC carries is
    known by itself."""
    addresses: tuple[str, ...] | None = None
    """The workload's own addresses; None: it may use any."""
    routes: bool = False
    """It may send router advertisements and redirects."""
    pref_base: int = PREF_BASE
    """The base of the ports' prefs. With another base, a new set can exist beside an old one."""

    @property
    def tapmac(self) -> str:
        """Return the MAC that replaces the workload's MAC in a tap's copies."""
        return ":".join([TAPMAC_HEAD.hex(":"), *self.ucmac.split(":")[4:]])

    @property
    def bcmac(self) -> str:
        """Return the MAC that replaces a group's MAC on the way to the workload."""
        return ":".join([BCMAC_HEAD.hex(":"), *self.ucmac.split(":")[4:]])

    def __post_init__(self) -> None:
        for device in (self.vex, self.vin, self.bridge):
            check_device(device)
        if len({self.vex, self.vin, self.bridge}) < 3:
            raise ValueError(f"{self}: three devices are needed")
        for pref in (self.pref_ex, self.pref_in):
            check_pref(pref)
        if self.pref_ex == self.pref_in:
            raise ValueError(f"{self}: two rules cannot share a pref of the bridge")
        check_pref(self.pref_base - PREFS_BELOW)
        check_pref(self.pref_base + PREFS_ABOVE)
        mac, ucmac = mac_bytes(self.mac), mac_bytes(self.ucmac)
        if ucmac[:4] != UCMAC_HEAD:
            raise ValueError(f"{self.ucmac} does not begin as a detour MAC does")
        if mac[0] & 1 or mac[:4] == UCMAC_HEAD:
            raise ValueError(f"{self.mac} cannot be a workload's MAC")
        for address in self.broadcasts:
            ipaddress.IPv4Address(address)
        for address in self.addresses or ():
            ipaddress.ip_address(address)

"""A tc filter as a value: u32 matches, and what is done with a frame that meets all of them.

In: numbers and names. Out: frozen values that compare by content. I/O: none. ValueError for what
no kernel would take.
Two forms of the same rule: as one writes it (u8, u16, u32 at any offset), and `normal`, as a kernel
keeps and shows it: 32-bit words at offsets that are multiples of four. Only the latter compares
with what a kernel holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum, StrEnum

WORD = 4
"""Bytes of the words that u32 and pedit work on."""
DA_OFFSET = -14
"""Of the MACs, from the network header: where u32 counts from, and pedit unless told otherwise."""
MAC_BYTES = 6
IFNAMSIZ = 16
_WIDTHS = (1, 2, 4)


class Parent(IntEnum):
    """The hook of a filter: tcm_parent."""

    INGRESS = 0xFFFF0000
    """`ffff:`, the ingress qdisc."""
    CLSACT_INGRESS = 0xFFFFFFF2
    """`ffff:fff2`, clsact's ingress side. An ingress qdisc answers to it too."""


class Header(StrEnum):
    """The header that a munge's offset counts from."""

    NETWORK = "network"
    ETH = "eth"


class Side(Enum):
    """One of a frame's two MACs; the value is its distance from the start of the frame."""

    DST = 0
    SRC = MAC_BYTES

    @property
    def offset(self) -> int:
        """Return the offset from the network header."""
        return DA_OFFSET + self.value


class Direction(StrEnum):
    """The effect of mirred on the frame: MIRROR goes on with the next action, REDIRECT ends."""

    MIRROR = "mirror"
    REDIRECT = "redirect"


class Verdict(StrEnum):
    """The verdict of gact, in tc's words."""

    PASS = "pass"  # noqa: S105  no password
    DROP = "drop"


@dataclass(frozen=True)
class Match:
    """A condition: `width` bytes at `offset` from the network header equal `value` under `mask`."""

    width: int
    value: int
    mask: int
    offset: int = 0

    def __post_init__(self) -> None:
        _check_place(self.width, self.offset)
        _check_number(self.mask, self.width)
        if self.value & ~self.mask:
            raise ValueError(f"{self}: the value has bits that the mask leaves out")


@dataclass(frozen=True)
class Munge:
    """A change: `width` bytes at `offset` become `value`, except the bits of `keep`."""

    width: int
    value: int
    offset: int
    keep: int = 0
    header: Header = Header.NETWORK

    def __post_init__(self) -> None:
        _check_place(self.width, self.offset)
        _check_number(self.keep, self.width)
        _check_number(self.value, self.width)
        if self.value & self.keep:
            raise ValueError(f"{self}: a bit cannot be kept and set")


@dataclass(frozen=True)
class MungeMac:
    """A change of a whole MAC in the Ethernet header: pedit's extended form.

    It costs the kernel less than the plain form: act_pedit (from Linux 5.18 on) takes a negative offset for a
    huge one, and pulls a super-frame without a known transport header into one piece, all 64 KiB.
    """

    side: Side
    mac: str

    def __post_init__(self) -> None:
        mac_bytes(self.mac)


@dataclass(frozen=True)
class Pedit:
    """An action that changes the frame and goes on with the next action."""

    munges: tuple[Munge | MungeMac, ...]

    def __post_init__(self) -> None:
        if not self.munges:
            raise ValueError("pedit without anything to change")
        if len({_extended(munge) for munge in self.munges}) > 1:
            raise ValueError(f"{self}: tc has no words for both kinds of munge in one")

    @property
    def extended(self) -> bool:
        """Return whether the action needs TCA_PEDIT_KEYS_EX."""
        return _extended(self.munges[0])


@dataclass(frozen=True)
class Mirred:
    """An action that sends the frame, or a copy of it, out of `device`."""

    direction: Direction
    device: str

    def __post_init__(self) -> None:
        check_device(self.device)


@dataclass(frozen=True)
class Gact:
    """An action that ends the frame's way through the filters."""

    verdict: Verdict


@dataclass(frozen=True)
class Unknown:
    """A part of a kernel's filter that none of our rules has; it makes a rule differ."""

    text: str


Action = Pedit | Mirred | Gact | Unknown


@dataclass(frozen=True)
class Rule:
    """A filter. Of several with the same device, parent, pref and protocol, the first match wins."""

    device: str
    parent: Parent
    pref: int
    """1..65535, lower ones first; filters of one pref have one protocol."""
    protocol: str
    """As tc spells it: `all`, `ip`, `ipv6`, `arp`, …"""
    matches: tuple[Match, ...]
    actions: tuple[Action, ...]

    def __post_init__(self) -> None:
        check_device(self.device)
        check_pref(self.pref)
        if not self.matches:
            raise ValueError(f"{self}: u32 wants a match, if only `u8 0 0`")

    @property
    def place(self) -> tuple[str, Parent, int, str]:
        """Return what is unique in a kernel: one classifier instance with one list of filters."""
        return self.device, self.parent, self.pref, self.protocol


@dataclass(frozen=True)
class Held:
    """A filter that a kernel has."""

    rule: Rule
    """In the form of `normal`."""
    handle: int
    """The handle by which it can be replaced or deleted; its low 12 bits order a place's rules."""


def mac_bytes(text: str) -> bytes:
    """Return the MAC's six bytes. ValueError for anything but `xx:xx:xx:xx:xx:xx`."""
    parts = text.split(":")
    # fromhex passes over blanks, so "two characters" is not said enough.
    if len(parts) != MAC_BYTES or any(len(part.strip()) != 2 for part in parts):
        raise ValueError(f"{text!r} is not a MAC address")
    return bytes.fromhex("".join(parts))


def check_device(name: str) -> None:
    """Raise ValueError if the name cannot be an interface's."""
    if (
        not name
        or len(name.encode(errors="surrogateescape")) >= IFNAMSIZ
        or "/" in name
        or name in {".", ".."}
    ):
        raise ValueError(f"{name!r} is not the name of an interface")
    if any(one.isspace() or one == ":" for one in name):
        raise ValueError(f"{name!r} is not the name of an interface")


def check_pref(pref: int) -> None:
    """Raise ValueError if the number cannot be a filter's priority."""
    if not 0 < pref < 1 << 16:
        raise ValueError(f"pref {pref} is not in 1..65535")


def normal(rule: Rule) -> Rule:
    """Return the rule as a kernel keeps it: one key for matches of a word, one word for each munge.

    ValueError where two matches contradict each other.
    """
    return replace(
        rule,
        matches=_merged(rule.matches),
        actions=tuple(_normal_action(action) for action in rule.actions),
    )


def words(munge: Munge | MungeMac) -> tuple[Munge, ...]:
    """Return the munge as pedit's keys: 32-bit words."""
    if isinstance(munge, Munge):
        move, at = _in_word(munge.width, munge.offset)
        rest = 0xFFFFFFFF & ~(_ones(munge.width) << move)
        keep = munge.keep << move | rest
        return (Munge(WORD, munge.value << move, at, keep, munge.header),)
    mac = mac_bytes(munge.mac)
    at = munge.side.value
    # The part that shares its word with the other MAC is the one of two bytes.
    cut = 4 if munge.side is Side.DST else 2
    parts = ((mac[:cut], at), (mac[cut:], at + cut))
    return tuple(
        word
        for part, place in parts
        for word in words(
            Munge(len(part), int.from_bytes(part, "big"), place, header=Header.ETH)
        )
    )


def folded(munges: tuple[Munge | MungeMac, ...]) -> tuple[Munge | MungeMac, ...]:
    """Replace pairs of words that set a whole MAC by one MungeMac; the rest stays as it is."""
    found: list[Munge | MungeMac] = []
    rest = list(munges)
    while rest:
        mac = _as_mac(tuple(rest[:2]))
        found.append(mac or rest[0])
        del rest[: 2 if mac else 1]
    return tuple(found)


def _as_mac(pair: tuple[Munge | MungeMac, ...]) -> MungeMac | None:
    if len(pair) != 2:
        return None
    first, second = pair
    if isinstance(first, MungeMac) or isinstance(second, MungeMac):
        return None
    if first.offset == 0:
        guess = f"{first.value:08x}{second.value >> 16:04x}"
    else:
        guess = f"{first.value & 0xFFFF:04x}{second.value:08x}"
    side = Side.DST if first.offset == 0 else Side.SRC
    mac = MungeMac(side, bytes.fromhex(guess).hex(":"))
    return mac if words(mac) == pair else None


def _normal_action(action: Action) -> Action:
    if not isinstance(action, Pedit):
        return action
    return Pedit(tuple(word for munge in action.munges for word in words(munge)))


def _merged(matches: tuple[Match, ...]) -> tuple[Match, ...]:
    keys: dict[int, Match] = {}
    for match in matches:
        move, at = _in_word(match.width, match.offset)
        value, mask = match.value << move, match.mask << move
        former = keys.get(at, Match(WORD, 0, 0, at))
        if (former.value ^ value) & former.mask & mask:
            raise ValueError(f"{match} contradicts {former}")
        keys[at] = Match(WORD, former.value | value, former.mask | mask, at)
    return tuple(keys.values())


def _in_word(width: int, offset: int) -> tuple[int, int]:
    """Return (bits to shift left, offset of the word); the byte at the lowest offset is on top."""
    inside = offset % WORD
    return 8 * (WORD - inside - width), offset - inside


def _ones(width: int) -> int:
    return (1 << 8 * width) - 1


def _extended(munge: Munge | MungeMac) -> bool:
    return isinstance(munge, MungeMac) or munge.header is not Header.NETWORK


def _check_place(width: int, offset: int) -> None:
    if width not in _WIDTHS:
        raise ValueError(f"a field of {width} bytes")
    if offset % width:
        raise ValueError(f"offset {offset} is not a multiple of {width}")


def _check_number(value: int, width: int) -> None:
    if not 0 <= value <= _ones(width):
        raise ValueError(f"{value:#x} does not fit into {width} bytes")

"""Checks of single values of a policy, each error noted under the value's path.

In: plain values out of YAML or JSON. Out: typed values, or None and a noted error. I/O: none.
Errors are collected, never raised: an author wants all of them in one go.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from ipaddress import IPv6Network, ip_network
from typing import TypeVar

from pyctl.errors import UsageError
from pyctl.policy.document import PortSpec
from pyctl.policy.networks import Network

E = TypeVar("E", bound=StrEnum)

GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PORTS = re.compile(
    r"(tcp|udp)(?:/(?:any|([0-9]{1,5})(?:-([0-9]{1,5}))?))?"
    r"|(icmp|icmpv6)(?:/([0-9]{1,3})(?:-([0-9]{1,3}))?)?"
)
_PORTS_HELP = (
    "write tcp/80, tcp/80-90, tcp/any, udp/53, icmp, icmp/8, icmpv6/128 or any"
)
MAX_RULE_ID = 2**32 - 1
_MAPPED = IPv6Network("::ffff:0:0/96")
MAX_TOLD = 200
"""Errors of one text: a list in the place of a mapping has as many as it is long."""


class Notes:
    """Errors and warnings, in the order met, each with the path of the field."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def error(self, path: str, what: str) -> None:
        """`path` is empty for the document itself."""
        self.errors.append(f"{path}: {what}" if path else what)

    def warn(self, path: str, what: str) -> None:
        """It is valid, but surely not meant."""
        self.warnings.append(f"{path}: {what}")

    def refuse(self, what: str) -> None:
        """UsageError with all errors, if there are any; `what` says what has them."""
        if self.errors:
            count = len(self.errors)
            told = self.errors[:MAX_TOLD]
            if count > MAX_TOLD:
                told.append(f"and {count - MAX_TOLD} more")
            raise UsageError(
                f"{what} {count} error{'s' if count > 1 else ''}:\n  "
                + "\n  ".join(told),
                state="nothing was applied",
            )


def shown(value: object) -> str:
    """A value in an error: short, also where it is huge."""
    try:
        return reprlib.repr(value)
    except ValueError:
        # Python writes no number of thousands of digits.
        return f"a {type(value).__name__} of too many digits"


def mapping(
    notes: Notes, path: str, value: object, known: Iterable[str] | None = None
) -> Mapping[str, object]:
    """A mapping with string keys, and only the known ones; {} where it is none."""
    if not isinstance(value, dict):
        notes.error(path, f"must be a mapping, not {shown(value)}")
        return {}
    allowed = None if known is None else list(known)
    good: dict[str, object] = {}
    for key, content in value.items():
        if not isinstance(key, str):
            notes.error(path, f"key {shown(key)} must be a string; put it in quotes")
        elif allowed is not None and key not in allowed:
            inside = f"{path}.{key}" if path else key
            notes.error(inside, f"unknown key; known here: {', '.join(allowed)}")
        else:
            good[key] = content
    return good


def sequence(notes: Notes, path: str, value: object) -> list[object]:
    """A list with at least one element; [] where it is none."""
    if isinstance(value, list) and value:
        return value
    notes.error(path, f"must be a list with an element, not {shown(value)}")
    return []


def text(notes: Notes, path: str, value: object) -> str | None:
    """A string that is not empty."""
    if isinstance(value, str) and value:
        return value
    hint = "; put it in quotes" if isinstance(value, bool | int | float) else ""
    notes.error(path, f"must be a string, not {shown(value)}{hint}")
    return None


def flag(notes: Notes, path: str, value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    notes.error(path, f"must be true or false, not {shown(value)}")
    return False


def choice(notes: Notes, path: str, value: object, kind: type[E]) -> E | None:
    """One of the words of an enumeration."""
    words = [str(word) for word in kind]
    if isinstance(value, str) and value in words:
        return kind(value)
    notes.error(path, f"must be one of {', '.join(words)}, not {shown(value)}")
    return None


def group_name(notes: Notes, path: str, value: object) -> str | None:
    """A name that a group can have."""
    if isinstance(value, str) and GROUP_NAME.fullmatch(value):
        return value
    notes.error(
        path,
        f"{shown(value)} is no group name: a letter or digit, then up to 62 letters, "
        "digits, dots, dashes, underscores",
    )
    return None


def rule_id(notes: Notes, path: str, value: object) -> int | None:
    """A positive 32-bit number."""
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 < value <= MAX_RULE_ID
    ):
        return value
    notes.error(path, f"must be a number from 1 to {MAX_RULE_ID}, not {shown(value)}")
    return None


def cidr(notes: Notes, path: str, value: object) -> Network | None:
    """A network, or one address; bits behind the prefix must be zero. No packet has a scope, or an IPv4
    address as one of IPv6: a rule for these would hold for nothing.
    """
    if not isinstance(value, str):
        notes.error(path, f"must be a CIDR like 10.1.0.0/16, not {shown(value)}")
        return None
    if "%" in value:
        notes.error(path, f"{shown(value)} names an interface; leave that out")
        return None
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        notes.error(path, f"{shown(value)} is no CIDR like 10.1.0.0/16")
        return None
    address = value.partition("/")[0]
    if ip_network(address) != ip_network(network.network_address):
        notes.error(
            path, f"{value} has host bits set; the network is {network.compressed}"
        )
        return None
    if network.version == 6 and network.subnet_of(_MAPPED):
        notes.error(path, f"{value} is IPv4 as IPv6 has it; write it as IPv4")
        return None
    return network


def port_spec(notes: Notes, path: str, value: object) -> PortSpec | None:
    """`tcp/80`, `tcp/80-90`, `tcp/any`, `tcp`, the same for udp, `any`; `icmp` is that of the packet's
    IP version. Types are numbered anew in ICMPv6, so that `icmp/8` is IPv4's alone and `icmpv6/128`,
    like `icmpv6`, IPv6's. ICMP errors are no matter of rules: they go with the flow they speak of.
    """
    if value == "any":
        return PortSpec("any", "any")
    found = PORTS.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None:
        notes.error(path, f"{shown(value)} is no port; {_PORTS_HELP}")
        return None
    if found[4]:
        return _icmp(notes, path, value, *found.groups()[3:])
    proto, first, last = found.groups()[:3]
    if first is None:
        return PortSpec(value, proto)
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 65535:
        notes.error(path, f"{value}: ports go from 1 to 65535, the smaller one first")
        return None
    return PortSpec(value, proto, low, high)


def _icmp(
    notes: Notes, path: str, text: str, proto: str, first: str | None, last: str | None
) -> PortSpec | None:
    if first is None:
        return PortSpec(text, proto)
    low, high = int(first), int(last or first)
    if not low <= high <= 255:
        notes.error(path, f"{text}: types go from 0 to 255, the smaller one first")
        return None
    return PortSpec(text, "icmpv4" if proto == "icmp" else proto, low, high)

"""IP protocols by name and number: the one table of them.

In, out: names and numbers. I/O: none.
"""

from __future__ import annotations

NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmp6": 58}
"""IPPROTO_* by the name that is shown."""
WITH_PORTS = ("tcp", "udp", "sctp")
"""Those whose flows have ports."""
WITH_APPS = ("tcp", "udp")
"""Those whose flows have an application."""
ICMP = ("icmp", "icmp6")
"""Those whose flows have a type, a code and an identifier instead; of IPv4, of IPv6."""
VERSION_OF = {NUMBERS["icmp"]: 4, NUMBERS["icmp6"]: 6}
"""The IP version that a number belongs to; the others belong to both."""
IN_RULES = {
    "any": (0,),
    **{name: (NUMBERS[name],) for name in WITH_PORTS},
    "icmp": tuple(NUMBERS[name] for name in ICMP),
    "icmpv4": (NUMBERS["icmp"],),
    "icmpv6": (NUMBERS["icmp6"],),
}
"""What a rule's word means; 0: any protocol. `icmp` is that of the packet's IP version."""
_NAMES = {number: name for name, number in NUMBERS.items()}


def protocol_name(number: int) -> str:
    """Return the name of the IPPROTO_* number, or the number as text where this table has no name."""
    return _NAMES.get(number, str(number))


def protocol_number(name: str) -> int:
    """Return the IPPROTO_* number that protocol_name gave this name."""
    return NUMBERS.get(name) or int(name)

"""Threats that the engine looks for: names, severities, what triggers each, and what is done by default.

In, out: names, numbers, settings as bits. I/O: none. The numbers are those of enum sg_threat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class ThreatAction(StrEnum):
    """What a workload's setting does at a threat. Only protect drops: elsewhere it is told."""

    OFF = "off"
    ALERT = "alert"
    DROP = "drop"
    RESET = "reset"
    """Dropped, and answered: both ends of a connection, or the sender of a packet."""


Severity = Literal["critical", "high", "medium", "low", "info"]
Cost = Literal["", "connections", "pings", "lookups", "payload"]


@dataclass(frozen=True)
class Threat:
    """One threat."""

    number: int
    name: str
    severity: Severity
    default: ThreatAction
    trigger: str
    cost: Cost = ""
    """What the engine carries in the kernel's place while the threat is looked for."""


_OFF, _ALERT, _DROP = ThreatAction.OFF, ThreatAction.ALERT, ThreatAction.DROP
THREATS: tuple[Threat, ...] = (
    Threat(
        *(1, "syn_flood", "critical", _ALERT),
        "800 SYNs of one source that it never completes, of which 160 a second are forgiven",
    ),
    Threat(
        *(2, "icmp_flood", "critical", _OFF),
        "more than 100 ICMP packets of the workload in a second, both ways, from anybody",
        "pings",
    ),
    Threat(
        *(3, "session_limit", "high", _OFF),
        "2,000 connections of one source in a second, answered or not",
    ),
    Threat(
        *(4, "teardrop", "critical", _DROP),
        "fragments that overlap and are no repeat; in protect they are dropped whatever the setting",
    ),
    Threat(
        *(5, "ping_of_death", "critical", _DROP),
        "an ICMP query of more than 32,000 bytes after joining",
    ),
    Threat(
        *(6, "land", "high", _DROP),
        "a TCP SYN or a datagram from the very address and port that it goes to",
    ),
    Threat(
        *(7, "small_mss", "high", _OFF),
        "a SYN that asks for segments of less than 256 bytes",
        "connections",
    ),
    Threat(*(8, "syn_data", "medium", _OFF), "a SYN with data (TCP Fast Open is one)"),
    Threat(
        *(9, "split_handshake", "medium", _ALERT),
        "a SYN answered by a SYN",
    ),
    Threat(
        *(10, "port_scan", "high", _ALERT),
        "one source is refused about 50 ports of one address within one to two minutes",
    ),
    Threat(
        *(11, "address_scan", "high", _ALERT),
        "one source is refused about 50 addresses within one to two minutes, at all workloads together",
    ),
    Threat(
        *(12, "dns_loop", "critical", _OFF),
        "a name of a DNS message with more than 63 compression pointers, or without an end",
        "lookups",
    ),
    Threat(
        *(13, "dns_zone_transfer", "critical", _OFF),
        "a DNS question for a whole zone (AXFR, IXFR)",
        "lookups",
    ),
    Threat(
        *(14, "dns_null", "critical", _OFF),
        "a DNS question for type NULL",
        "lookups",
    ),
    Threat(
        *(15, "dns_tunnel", "critical", _OFF),
        "questions for about 50 names of one domain within one to two minutes, each with 32 bytes or more of 14 kinds "
        "before the domain",
        "lookups",
    ),
    Threat(
        *(16, "ssh_v1", "low", _OFF),
        "a side that speaks SSH 1 alone (1.99 speaks 2, too)",
        "payload",
    ),
    Threat(
        *(17, "ssl", "medium", _OFF),
        "a server that chooses SSL 2 or 3, or a client that offers nothing but SSL 2",
        "payload",
    ),
    Threat(*(18, "tls_1_0", "info", _OFF), "a server that chooses TLS 1.0", "payload"),
    Threat(*(19, "tls_1_1", "info", _OFF), "a server that chooses TLS 1.1", "payload"),
    Threat(
        *(20, "tls_weak_cipher", "medium", _OFF),
        "a server that chooses a cipher without encryption or authentication, of exported strength, or with RC2, RC4, "
        "DES, 3DES or IDEA",
        "payload",
    ),
    Threat(
        *(21, "heartbleed", "critical", _OFF),
        "a TLS heartbeat request, not encrypted, that asks for more bytes than it brings",
        "payload",
    ),
    Threat(
        *(22, "ssl_cipher_overflow", "critical", _OFF),
        "a hello in SSL 2's form whose ciphers are longer than itself",
        "payload",
    ),
    Threat(
        *(23, "http_negative_length", "high", _OFF),
        "a negative Content-Length in the first head of a side",
        "payload",
    ),
    Threat(
        *(24, "http_smuggling", "high", _OFF),
        "two Content-Lengths that differ in the first head of a side",
        "payload",
    ),
)
"""Numbers never change their meaning. By default nothing is looked for that takes traffic out of the kernel, and what
is dropped is nothing that a stack sends."""
BY_NAME: Mapping[str, Threat] = {one.name: one for one in THREATS}
BY_NUMBER: Mapping[int, Threat] = {one.number: one for one in THREATS}
DEFAULTS: Mapping[str, ThreatAction] = {one.name: one.default for one in THREATS}
Settings = Mapping[str, ThreatAction]
"""What is done at each threat, by its name; one that is not named is off."""


@dataclass(frozen=True)
class ThreatBits:
    """Settings as the engine takes them: sets of threats as bits 1 << number, each a part of the one before."""

    on: int = 0
    drop: int = 0
    reset: int = 0


NO_THREATS = ThreatBits()
"""Nothing is looked for."""


def threat_bits(settings: Settings) -> ThreatBits:
    """Return the settings as bits."""

    def those(*actions: ThreatAction) -> int:
        chosen = (BY_NAME[name] for name, one in settings.items() if one in actions)
        return sum(1 << threat.number for threat in chosen)

    drop, reset = ThreatAction.DROP, ThreatAction.RESET
    return ThreatBits(
        those(ThreatAction.ALERT, drop, reset), those(drop, reset), those(reset)
    )

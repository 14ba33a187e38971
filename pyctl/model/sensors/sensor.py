"""A sensor: a name for patterns, and what they are looked for in.

In, out: values; settings as bits. I/O: none. Numbers are those of enum sg_part, enum sg_confirm and of severities in
events (sg_sensors.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pyctl.model.threats import Severity, ThreatAction

SensorAction = ThreatAction
"""off, alert, drop, reset: what is done at a hit, as at a threat. Only protect drops."""

MAX_SENSORS = 64
"""A set of sensors is 64 bits."""
MAX_PATTERNS = 2000
"""Of all sensors, those of shipped sets among them: 1,000 compile in half a second, and their database has 0.6 MB."""
MAX_REGEX = 2000
"""Characters of one."""
MAX_CONFIRMED = 512
"""The longest match, in bytes, that PCRE2 can confirm: the engine keeps so many of what it has scanned."""
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
"""By number."""


class Part(StrEnum):
    """What a pattern is looked for in."""

    URL = "url"
    """A request's target, path and query, as it was sent, and decoded."""
    HEADER = "header"
    """The header lines of a request, each with its end of line."""
    BODY = "body"
    """Bodies of requests and of answers."""
    PACKET = "packet"
    """All bytes of a TCP connection, whatever its protocol, and datagrams of UDP."""


PARTS: tuple[Part, ...] = tuple(Part)
"""By number."""


class Confirm(StrEnum):
    """A second look at the bytes that a pattern matched; what it does not confirm is no hit."""

    PCRE2 = "pcre2"
    """The regex itself, matched by PCRE2: for what streaming cannot match exactly (lookaround, back-references)."""
    CARD = "card"
    """A payment card's number: an issuer's range, its lengths, and Luhn's check."""
    IBAN = "iban"
    """A bank account's number: a country's form, and mod 97."""
    US_SSN = "us_ssn"
    """A Social Security number of the United States that may have been given out."""
    ES_DNI = "es_dni"
    """A DNI or NIE of Spain whose letter is right."""
    BR_CPF = "br_cpf"
    """A CPF of Brazil whose two check digits are right."""


CONFIRM_NUMBERS: Mapping[Confirm | None, int] = {
    None: 0,
    **{one: number for number, one in enumerate(Confirm, 1)},
}
"""enum sg_confirm. Numbers follow the order in Confirm: new ones go to its end."""


@dataclass(frozen=True)
class Pattern:
    """One regular expression of a sensor."""

    id: str
    regex: str
    """As Hyperscan takes it (PCRE's syntax); flags are written in it: `(?i)`, `(?s)`, `(?m)`."""
    part: Part
    severity: Severity = "medium"
    confirm: Confirm | None = None


@dataclass(frozen=True)
class Sensor:
    """A named set of patterns, and what groups of workloads do at a hit."""

    name: str
    patterns: tuple[Pattern, ...]
    """With those of the shipped sets that it uses."""
    show: bool = False
    """Events tell what matched; without it, matched data is nowhere stored."""
    uses: tuple[str, ...] = ()
    """Names of shipped sets."""
    groups: Mapping[str, SensorAction] = field(default_factory=dict, hash=False)
    """What is done, by group. Of several that a workload is in the strictest counts, `any` where no other names it."""


@dataclass(frozen=True)
class SensorBits:
    """What a port does at hits: sets of sensors as bits 1 << index in NodePolicy.sensors, each a part of the one before."""

    on: int = 0
    drop: int = 0
    reset: int = 0


NO_SENSORS = SensorBits()
"""Nothing is looked for."""


@dataclass(frozen=True)
class Databases:
    """What finds the patterns of sensors, as Vectorscan serialises it."""

    by_part: tuple[bytes, ...] = (b"",) * len(PARTS)
    """Empty: nothing is looked for in that part."""


NO_DATABASES = Databases()


def sensor_bits(
    sensors: tuple[Sensor, ...], settings: Mapping[str, SensorAction]
) -> SensorBits:
    """Return the settings, by name, as bits."""

    def those(*actions: SensorAction) -> int:
        return sum(
            1 << index
            for index, one in enumerate(sensors)
            if settings.get(one.name, SensorAction.OFF) in actions
        )

    drop, reset = SensorAction.DROP, SensorAction.RESET
    return SensorBits(
        those(SensorAction.ALERT, drop, reset), those(drop, reset), those(reset)
    )

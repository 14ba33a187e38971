"""Checks of single values of a policy, each error noted under the value's path.

In: plain values out of YAML or JSON. Out: typed values, or None and a noted error. I/O: none.
Errors are collected, never raised: an author wants all of them in one go.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_network

from pyctl.errors import UsageError
from pyctl.model.apps import NUMBERS, spelled
from pyctl.model.protocols import WITH_PORTS
from pyctl.policy.document.networks import MAPPED, Network
from pyctl.policy.document.types import ANY, PortSpec

GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PORT_NAME = r"(?:[0-9]+(?:-[0-9]+)*-?)?[a-z](?:-?[a-z0-9])*"
"""A service name as in RFC 6335, section 5.1; up to MAX_PORT_NAME characters."""
MAX_PORT_NAME = 15
_NUMBER = "(0|[1-9][0-9]{0,4})"
"""A number as all read it: some take one that begins with 0 as octal."""
PORTS = re.compile(
    rf"({'|'.join(WITH_PORTS)})(?:/(?:any|{_NUMBER}(?:-{_NUMBER})?|({PORT_NAME})))?"
    rf"|(icmp|icmpv6)(?:/{_NUMBER}(?:-{_NUMBER})?)?"
)
_PREFIX = re.compile("[^/]*(?:/(?:0|[1-9][0-9]{0,2}))?")
_PORTS_HELP = "write tcp/80, tcp/80-90, tcp/any, tcp/http, udp/53, sctp/3868, icmp, icmp/8, icmpv6/128 or any"
_ALL_APPS = ", ".join(NUMBERS)
_SEEN_AS = {"https": "TLS", "ssl": "TLS", "postgres": "PostgreSQL"}
"""Names that are no application's, with the application as which such a flow is recognised."""
MAX_FQDN = 253
"""Characters of a DNS name, RFC 1035, section 2.3.4."""
_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
FQDN = re.compile(
    rf"(?:\*\.)?(?=.{{1,{MAX_FQDN}}}\.?$)(?!(?:.*\.)?[0-9]+\.?$){_LABEL}(?:\.{_LABEL})*\.?"
)
"""A name as hosts have them, underscores too; no top-level domain is a number (RFC 3696, section 2)."""
MAX_RULE_ID = 2**32 - 1
MAX_TOLD = 200
"""The most errors, and warnings, of one text: a list in place of a mapping has one for each element."""
_MAX_LINE = 1000
"""Characters of one of them, with names that the text's author chose."""


class ErrorCollector:
    """Errors and warnings in the order found, each with the path of its field."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._warnings: list[str] = []
        self.failed = 0
        """The number of errors, including those beyond MAX_TOLD."""
        self._warned = 0

    def error(self, path: str, what: str) -> None:
        """Add an error; `path` is empty for the document itself."""
        self.failed += 1
        if self.failed <= MAX_TOLD:
            self._errors.append(_line(path, what))

    def warn(self, path: str, what: str) -> None:
        """Add a warning about what is valid but surely not meant."""
        self._warned += 1
        if self._warned <= MAX_TOLD:
            self._warnings.append(_line(path, what))

    @property
    def errors(self) -> list[str]:
        """Return the first MAX_TOLD errors, and a line that counts the rest."""
        return _with_rest(self._errors, self.failed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the first MAX_TOLD warnings, and a line that counts the rest."""
        return tuple(_with_rest(self._warnings, self._warned))

    def refuse(self, what: str) -> None:
        """Raise UsageError with the errors, if there are any; `what` is the start of its message."""
        if self.failed:
            count = self.failed
            raise UsageError(
                f"{what} {count} error{'s' if count > 1 else ''}:\n  "
                + "\n  ".join(self.errors),
                state="nothing was applied",
            )


def _line(path: str, what: str) -> str:
    line = f"{path}: {what}" if path else what
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"


def _with_rest(told: list[str], count: int) -> list[str]:
    rest = count - len(told)
    return [*told, f"and {rest} more"] if rest else list(told)


def shown(value: object) -> str:
    """Return a value as an error shows it: short, even if the value is huge."""
    try:
        return reprlib.repr(value)
    except ValueError:
        # Python writes no number of thousands of digits.
        return f"a {type(value).__name__} of too many digits"


def mapping(
    notes: ErrorCollector, path: str, value: object, known: Iterable[str] | None = None
) -> Mapping[str, object]:
    """Return a mapping with string keys, known ones only; {} and an error where the value is no mapping."""
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


def text(notes: ErrorCollector, path: str, value: object) -> str | None:
    """Return a string that is not empty; None and an error for anything else."""
    if isinstance(value, str) and value:
        return value
    hint = "; put it in quotes" if isinstance(value, bool | int | float) else ""
    notes.error(path, f"must be a string, not {shown(value)}{hint}")
    return None


def group_name(notes: ErrorCollector, path: str, value: object) -> str | None:
    """Return a valid group name; None and an error for anything else."""
    if isinstance(value, str) and GROUP_NAME.fullmatch(value):
        return value
    notes.error(
        path,
        f"{shown(value)} is no group name: a letter or digit, then up to 62 letters, "
        "digits, dots, dashes, underscores",
    )
    return None


def cidr(notes: ErrorCollector, path: str, value: object) -> Network | None:
    """Return a network, or one address; bits after the prefix must be zero. Scopes and IPv4-mapped IPv6
    addresses are errors: no packet has them, and such a rule would never match.
    """
    if not isinstance(value, str):
        notes.error(path, f"must be a CIDR like 10.1.0.0/16, not {shown(value)}")
        return None
    found = _network(value)
    if isinstance(found, str):
        notes.error(path, found)
        return None
    return found


def _network(text: str) -> Network | str:
    """Return the network, or why it is none."""
    if "%" in text:
        return f"{shown(text)} names an interface; leave that out"
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return f"{shown(text)} is no CIDR like 10.1.0.0/16"
    if not _PREFIX.fullmatch(text):
        # A mask may be read as its inverse: 10.0.0.0/0.0.0.0 is one host to some, and everybody to others.
        return f"{text} has no plain prefix length; write {network.compressed}"
    address = text.partition("/")[0]
    if ip_network(address) != ip_network(network.network_address):
        return f"{text} has host bits set; the network is {network.compressed}"
    if network.version == 6 and network.subnet_of(MAPPED):
        return f"{text} is IPv4 as IPv6 has it; write it as IPv4"
    return network


def fqdn(notes: ErrorCollector, path: str, value: object) -> str | None:
    """Return a DNS name, or `*.` and one, in small letters and without a dot at its end."""
    if not isinstance(value, str):
        notes.error(path, f"must be a DNS name like db.example.org, not {shown(value)}")
        return None
    if FQDN.fullmatch(value):
        return value.removesuffix(".").lower()
    notes.error(path, f"{shown(value)} is no DNS name: {_why_no_fqdn(value)}")
    return None


def _why_no_fqdn(value: str) -> str:
    if not value.isascii():
        return f"write it as it is asked for{_punycode(value)}"
    if value in {"*", "*."}:
        return "a rule to all names is one to `any`"
    name = value.removeprefix("*.").removesuffix(".")
    if "*" in name:
        return "* stands for whole labels at the start, as in *.example.org"
    if ":" in name or "/" in name or name.rpartition(".")[2].isdigit():
        return "it is a name alone; addresses go in a group with cidrs"
    if len(name) > MAX_FQDN:
        return f"it has more than {MAX_FQDN} characters"
    bad = next((one for one in name.split(".") if not re.fullmatch(_LABEL, one)), "")
    return f"its part {shown(bad)} is not 1 to 63 letters, digits, underscores, with hyphens in between"


def _punycode(value: str) -> str:
    """Return the name in ASCII as a hint, where the mapping of the former IDNA 2003 keeps every letter."""
    star = "*." if value.startswith("*.") else ""
    name = value.removeprefix("*.").lower()
    try:
        found = name.encode("idna")
        same = found.decode("idna") == name
    except UnicodeError:
        return ""
    return f", in ASCII: {star}{found.decode()}" if same else ""


def port_spec(notes: ErrorCollector, path: str, value: object) -> PortSpec | None:
    """Return a port: `tcp/80`, `tcp/80-90`, `tcp/any`, `tcp`, `tcp/http` (a name that workloads declare), the
    same for udp and sctp, `any`; `icmp` is that of the packet's IP version. ICMPv6 numbers its types anew, so
    `icmp/8` is IPv4's alone, and `icmpv6/128`, like `icmpv6`, IPv6's. No rule decides ICMP errors: they
    belong to the flow that they report on.
    """
    if value == ANY:
        return PortSpec(ANY, ANY)
    found = PORTS.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None:
        notes.error(path, f"{shown(value)} is no port; {_PORTS_HELP}")
        return None
    proto, first, last, name, *icmp = found.groups()
    if icmp[0]:
        return _icmp(notes, path, value, *icmp)
    if first is None:
        return _without_number(notes, path, value, proto, name)
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 65535:
        notes.error(path, f"{value}: ports go from 1 to 65535, the smaller one first")
        return None
    return PortSpec(value, proto, low, high)


def app(notes: ErrorCollector, path: str, value: object) -> str | None:
    """Return the name of an application as model.apps spells it; None and an error for anything else."""
    name = spelled(value) if isinstance(value, str) else None
    if name is None:
        names = {one.lower(): one for one in NUMBERS} | _SEEN_AS
        near = get_close_matches(str(value).lower()[:64], names, n=1)
        hint = f"the nearest is {names[near[0]]}" if near else f"there are {_ALL_APPS}"
        notes.error(path, f"{shown(value)} is no application; {hint}")
    return name


def _without_number(
    notes: ErrorCollector, path: str, text: str, proto: str, name: str | None
) -> PortSpec | None:
    if name is None:
        return PortSpec(text, proto)
    if len(name) > MAX_PORT_NAME:
        notes.error(path, f"{text}: a port's name has up to {MAX_PORT_NAME} characters")
        return None
    return PortSpec(text, proto, 0, 0, name)


def _icmp(
    notes: ErrorCollector,
    path: str,
    text: str,
    proto: str,
    first: str | None,
    last: str | None,
) -> PortSpec | None:
    if first is None:
        return PortSpec(text, proto)
    low, high = int(first), int(last or first)
    if not low <= high <= 255:
        notes.error(path, f"{text}: types go from 0 to 255, the smaller one first")
        return None
    return PortSpec(text, "icmpv4" if proto == "icmp" else proto, low, high)

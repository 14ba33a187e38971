"""`tls:` of a rule: the names that clients send, the protocols that they offer, the version that is spoken.

In: a mapping; a Tls. Out: a Tls and noted errors; text. I/O: none.
"""

from __future__ import annotations

from pyctl.policy.document import table
from pyctl.policy.document.conditions.names import NAME_PATTERN
from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.table import Field, Kind, Table
from pyctl.policy.document.types import Tls

VERSIONS = {"1.0": 0x301, "1.1": 0x302, "1.2": 0x303, "1.3": 0x304}
"""TLS's number of a version."""
APPS = ("TLS", "DoT", "QUIC")
"""Applications of which names and protocols are read."""
MAX_ITEMS = 256
_MAX_PROTOCOL = 255


def _protocol(notes: ErrorCollector, path: str, value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value.encode()) <= _MAX_PROTOCOL:
        return value
    notes.error(
        path,
        f"must be a protocol of 1 to {_MAX_PROTOCOL} bytes, like h2, not {shown(value)}",
    )
    return None


def items_of(kind: Kind[str | None]) -> Kind[tuple[str, ...]]:
    """Return the kind of a list of one to MAX_ITEMS."""
    whole = table.items_of(kind)

    def read(notes: ErrorCollector, path: str, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and len(value) > MAX_ITEMS:
            notes.error(path, f"are {len(value)}; at most {MAX_ITEMS}")
            return ()
        return whole.read(notes, path, value)

    return Kind(read, whole.schema | {"maxItems": MAX_ITEMS})


_PROTOCOL: Kind[str | None] = Kind(
    _protocol, {"type": "string", "minLength": 1, "maxLength": _MAX_PROTOCOL}
)
_TABLE = Table(
    Field(
        "sni",
        items_of(NAME_PATTERN),
        about="the name that the client sends is one of these",
    ),
    Field(
        "alpn",
        items_of(_PROTOCOL),
        about="allow: all protocols that the client offers are among these; deny: one of them is",
    ),
    Field(
        "min_version",
        table.checked(
            tuple(VERSIONS).__contains__,
            f"one of {', '.join(VERSIONS)}, in quotes",
            {"enum": list(VERSIONS)},
        ),
        about="the version that the server chooses is this one or a later one",
    ),
)


def _read(notes: ErrorCollector, path: str, value: object) -> Tls | None:
    found = _TABLE.read_some(notes, path, value)
    if found is None:
        return None
    for name in ("sni", "alpn"):
        found[name] = tuple(dict.fromkeys(found[name] or ()))
    return Tls(**found)


TLS: Kind[Tls | None] = Kind(_read, _TABLE.schema | {"minProperties": 1})


def tls_text(tls: Tls | None) -> str:
    """Return what the rule asks, as one line with a space before it; "" for None."""
    if tls is None:
        return ""
    parts = [f"sni {', '.join(tls.sni)}"] if tls.sni else []
    parts += [f"alpn {', '.join(tls.alpn)}"] if tls.alpn else []
    parts += [f"from version {tls.min_version}"] if tls.min_version else []
    return f" tls {'; '.join(parts)}"

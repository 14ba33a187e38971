"""`http:` of a rule: methods, paths and hosts of the requests that it is for.

In: a mapping; an Http; a path as a client sends it. Out: an Http and noted errors; text; readings. I/O: none.
The engine's http/sg_http_path.c reads paths as `readings` does.
"""

from __future__ import annotations

import re
import string
from ipaddress import ip_address

from pyctl.policy.document.conditions import names
from pyctl.policy.document.conditions.tls import items_of
from pyctl.policy.document.field_checks import ErrorCollector, shown
from pyctl.policy.document.table import Field, Kind, Table
from pyctl.policy.document.types import Http

APPS = ("HTTP", "WebSocket", "HTTP2", "gRPC", "etcd")
"""Applications of which requests are read, the first where a rule names none."""
MAX_PATH = 1024
_METHOD = re.compile(r"[A-Z0-9_-]{1,32}")
_PLAIN = frozenset(string.ascii_letters + string.digits + "-._~!$&'()*+,=:@")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def encoded(path: str) -> str:
    """Return the path with what needs encoding encoded and nothing else, several slashes as one. Raises ValueError
    for an encoding that is none.
    """
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise ValueError("% without two hexadecimal digits")
    out = []
    for part in re.findall(rb"%..|[\s\S]", path.encode()):
        byte = int(part[1:], 16) if len(part) == 3 else part[0]
        kept = len(part) == 1 and chr(byte) in "/;"
        out.append(chr(byte) if kept or chr(byte) in _PLAIN else f"%{byte:02X}")
    return re.sub("/+", "/", "".join(out))


def _resolved(path: str) -> str:
    """Return the path without . and .. segments (RFC 3986)."""
    out: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            out = out[:-1]
        elif segment != ".":
            out.append(segment)
    if segments[-1] in {".", ".."}:
        out.append("")
    return "/" + "/".join(out)


def _liberal(path: str) -> str:
    """Return the path decoded twice, with backslashes as slashes, and without parameters of segments."""
    raw = path.encode()
    for _ in range(2):
        raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw)
        if re.search(rb"[\0-\x1f\x7f\xc0\xc1]", raw):
            raise ValueError("a byte that is in no path")
    parts = re.sub(rb";[^/]*", b"", raw.replace(b"\\", b"/"))
    kept = (chr(one) for one in parts)
    text = "".join(
        one if one == "/" or one in _PLAIN else f"%{ord(one):02X}" for one in kept
    )
    return _resolved(re.sub("/+", "/", text))


def readings(path: str) -> tuple[str, ...]:
    """Return a request's path, without its query, in each way in which servers may read it. Raises ValueError for
    what is no path.
    """
    path = path.partition("?")[0]
    if not path.startswith("/") or "#" in path or re.search(r"[\0- \x7f]", path):
        raise ValueError("no path")
    plain = encoded(path)
    return tuple(dict.fromkeys((_resolved(plain), plain, _liberal(path))))


def takes_path(pattern: str, path: str) -> bool:
    """Return whether a rule's path, as it is kept, takes one reading of a request's."""
    kind, text = pattern[0], pattern[1:]
    return path.startswith(text) if kind == "*" else path == text


def _path(notes: ErrorCollector, path: str, value: object) -> str | None:
    """Return `=` and a whole path, or `*` and what paths begin with, encoded as `readings` are."""
    if not isinstance(value, str) or not value.startswith("/"):
        notes.error(path, f"must be a path like /api/*, not {shown(value)}")
        return None
    text, is_prefix = value.removesuffix("*"), value.endswith("*")
    try:
        found = encoded(text)
    except ValueError as error:
        notes.error(path, f"{shown(value)}: {error}")
        return None
    if len(found) > MAX_PATH:
        notes.error(path, f"is longer than {MAX_PATH} bytes")
    elif "*" in text:
        notes.error(
            path, f"{shown(value)}: a star stands at the end alone; %2A is one itself"
        )
    elif re.search(r"[?#\0- \x7f\\]", text):
        notes.error(
            path, f"{shown(value)}: no query, fragment, space or backslash in a path"
        )
    elif found != re.sub("//+", "/", found) or "//" in text:
        notes.error(path, f"{shown(value)}: several slashes are one")
    elif {".", ".."} & set(text.split("/")):
        notes.error(path, f"{shown(value)}: write the path without . and ..")
    else:
        return ("*" if is_prefix else "=") + found
    return None


def _method(notes: ErrorCollector, path: str, value: object) -> str | None:
    if isinstance(value, str) and _METHOD.fullmatch(value):
        return value
    notes.error(path, f"must be a method like GET, in capitals, not {shown(value)}")
    return None


def _host(notes: ErrorCollector, path: str, value: object) -> str | None:
    try:
        address = ip_address(str(value).removeprefix("[").removesuffix("]"))
    except ValueError:
        return names.pattern(notes, path, value)
    return f"[{address}]" if address.version == 6 else str(address)


_HOST = rf"^(?:{names.PATTERN}|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?)$"
_PATH_SCHEMA = {"type": "string", "pattern": r"^/[^*?#\s\\]*\*?$"}
_TABLE = Table(
    Field(
        "methods",
        items_of(Kind(_method, {"type": "string", "pattern": f"^{_METHOD.pattern}$"})),
        about="the method is one of these; without it: any but CONNECT, of a rule that denies any",
    ),
    Field(
        "paths",
        items_of(Kind(_path, _PATH_SCHEMA)),
        about="the path is one of these, without its query; a star at the end: and whatever follows",
    ),
    Field(
        "hosts",
        items_of(
            Kind(
                _host, {"type": "string", "maxLength": names.MAX_NAME, "pattern": _HOST}
            )
        ),
        about="the host is one of these: names, *.example.org, addresses",
    ),
)


def _read(notes: ErrorCollector, path: str, value: object) -> Http | None:
    found = _TABLE.read_some(notes, path, value)
    if found is None:
        return None
    return Http(**{name: tuple(dict.fromkeys(found[name] or ())) for name in found})


HTTP: Kind[Http | None] = Kind(_read, _TABLE.schema | {"minProperties": 1})


def http_text(http: Http | None) -> str:
    """Return what the rule asks, as one line with a space before it; "" for None."""
    if http is None:
        return ""
    paths = [one[1:] + ("*" if one[0] == "*" else "") for one in http.paths]
    parts = [f"methods {', '.join(http.methods)}"] if http.methods else []
    parts += [f"paths {', '.join(paths)}"] if paths else []
    parts += [f"hosts {', '.join(http.hosts)}"] if http.hosts else []
    return f" http {'; '.join(parts)}"

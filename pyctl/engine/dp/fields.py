"""Values out of a JSON object of unknown origin: the right type and range, or UsageError.

In: a parsed object, a field's name. Out: Python values. I/O: none. Unlike in Python, `true` is no number
here, and a number is no address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyctl.errors import UsageError

U8, U16, U32 = 0xFF, 0xFFFF, 0xFFFFFFFF
MAX_LIST = 8192
"""Elements of any list; a datagram of 8192 bytes cannot hold more."""
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_IFACE = re.compile(r"[^\s/:]{1,15}")
_IFACE_BYTES = 15


def _shown(value: object) -> str:
    """Return a value for an error text, cut: the sender decides how long it is."""
    return repr(value)[:60]


@dataclass(frozen=True)
class Fields:
    """A JSON object and where it stands, e.g. `ctrl_cfg_policy.rules[3]`."""

    body: dict[str, Any]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Fields:
        """Return the fields of an object; UsageError if `value` is no object."""
        if not isinstance(value, dict):
            raise UsageError(f"{where} must be an object, not {_shown(value)}")
        return cls(value, where)

    def _value(self, name: str) -> Any:
        if name not in self.body:
            raise UsageError(f"{self.where} lacks {name!r}")
        return self.body[name]

    def _wrong(self, name: str, what: str) -> UsageError:
        return UsageError(
            f"{self.where}.{name} must be {what}, not {_shown(self.body.get(name))}"
        )

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null: an optional field may be either."""
        return self.body.get(name) is not None

    def number(self, name: str, highest: int, default: int | None = None) -> int:
        """Return an integer from 0 to `highest`; `default` for one that may be absent."""
        if default is not None and not self.has(name):
            return default
        value = self._value(name)
        if type(value) is not int or not 0 <= value <= highest:
            raise self._wrong(name, f"a number from 0 to {highest}")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return a boolean; `default` for one that may be absent."""
        if default is not None and not self.has(name):
            return default
        value = self._value(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; `default` also for null."""
        if default is not None and not self.has(name):
            return default
        value = self._value(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def iface(self, name: str) -> str:
        """Return an interface name that the kernel would accept."""
        value = self.text(name)
        # Unprintable names must not reach a log, and lone surrogates cannot be encoded.
        printed = value.isprintable() and len(value.encode()) <= _IFACE_BYTES
        if not printed or not _IFACE.fullmatch(value) or value in {".", ".."}:
            raise self._wrong(name, "an interface's name")
        return value

    def mac(self, name: str) -> str:
        """Return a MAC as `aa:bb:cc:dd:ee:ff`, in lower case."""
        return self._as_mac(name, self.text(name))

    def optional_mac(self, name: str) -> str | None:
        """Return a MAC; None for absent, null and the empty string, which is how the agent says "none"."""
        value = self.text(name, "")
        return self._as_mac(name, value) if value else None

    def macs(self, name: str) -> tuple[str, ...]:
        """Return a list of MACs, each once."""
        found = [self._as_mac(name, value) for value in self.items(name)]
        return tuple(dict.fromkeys(found))

    def _as_mac(self, name: str, value: object) -> str:
        small = value.lower() if isinstance(value, str) else ""
        if not _MAC.fullmatch(small):
            raise self._wrong(name, "MAC addresses such as 4e:65:75:56:00:01")
        return small

    def items(self, name: str) -> list[Any]:
        """Return a list; null is an empty one, as Go writes it."""
        value = self._value(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > MAX_LIST:
            raise self._wrong(name, "a list")
        return value

    def objects(self, name: str) -> list[Fields]:
        """Return a list of objects as Fields."""
        return [
            Fields.of(value, f"{self.where}.{name}[{at}]")
            for at, value in enumerate(self.items(name))
        ]

    def address(self, name: str) -> IPv4Address:
        """Return a dotted IPv4 address; the protocol has no other."""
        try:
            return IPv4Address(self.text(name))
        except ValueError:
            raise self._wrong(name, "an IPv4 address") from None

    def subnet(self) -> IPv4Network:
        """Return `ip` under `mask`; host bits may be set, because the agent sends a device's own address."""
        address, mask = self.address("ip"), self.address("mask")
        hosts = int(mask) ^ U32
        # IPv4Network would accept a host mask as well.
        if hosts & (hosts + 1):
            raise self._wrong("mask", "a netmask")
        return IPv4Network((int(address) & int(mask), 32 - hosts.bit_length()))

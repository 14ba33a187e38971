"""The groups of a policy, each content once, under names that tell where it is from.

In: selectors and blocks, with a name that would suit. Out: names; the groups as plain values.
I/O: none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import count
from typing import Any

from pyctl.policy.document.networks import Network
from pyctl.policy.document.selectors import as_mapping
from pyctl.policy.document.types import Selector
from pyctl.policy.kubernetes.policies import Block

_LONGEST = 63


class Groups:
    """Groups named by content, in the order added."""

    def __init__(self) -> None:
        self._names: dict[object, str] = {}
        self.bodies: dict[str, dict[str, Any]] = {}

    def selector(self, wanted: str, selector: Selector) -> str:
        """Return the name of the group of these workloads."""
        return self._name(wanted, selector, {"selector": as_mapping(selector)})

    def block(self, wanted: str, block: Block) -> str:
        """Return the name of the group of this block's addresses."""
        return self.networks(wanted, [block.cidr], block.excepts)

    def networks(
        self, wanted: str, nets: Iterable[Network], excepts: Iterable[Network] = ()
    ) -> str:
        """Return the name of the group of these networks without the exceptions."""
        body = {"cidrs": [str(net) for net in nets]}
        if holes := [str(net) for net in excepts]:
            body["except"] = holes
        return self._name(wanted, repr(body), body)

    def _name(self, wanted: str, content: object, body: dict[str, Any]) -> str:
        known = self._names.get(content)
        if known is not None:
            return known
        for number in count(1):
            name = _short(wanted if number == 1 else f"{wanted}-{number}")
            if name not in self.bodies:
                break
        self._names[content] = name
        self.bodies[name] = body
        return name


def _short(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - 9]}-{digest}"

"""The one place that chooses a kind, by what the kernel says of a link."""

from __future__ import annotations

from pyctl.intercept.kinds.base import Kind
from pyctl.intercept.kinds.macvlan import Macvlan
from pyctl.intercept.kinds.veth import Veth

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Veth(), Macvlan())}
"""The kinds that can be spliced, by the kernel's word."""


def kind_of(name: str) -> Kind:
    """Return the kind for the kernel's word (of a Link, Mark or Port); a plain Kind for any other."""
    return KINDS.get(name) or Kind()

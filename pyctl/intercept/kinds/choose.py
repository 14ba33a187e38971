"""The one place that chooses a kind, by what the kernel says of a link."""

from __future__ import annotations

from pyctl.intercept.kinds.base import Kind
from pyctl.intercept.kinds.macvlan import Macvlan
from pyctl.intercept.kinds.veth import Veth

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Veth(), Macvlan())}
"""Those that are spliced, by the kernel's word."""


def kind_of(name: str) -> Kind:
    """Return the kind of a Link.kind, or of a Mark's or a Port's, which keep it; any other is a plain Kind."""
    return KINDS.get(name) or Kind()

"""Conditions of rules, as Python writes them for the engine.

In: names, protocols, versions. Out: model values. I/O: none.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyctl.model.policy import Condition

SNI, ALPN, VERSION = 1, 2, 3


def tls(
    *sni: str, alpn: Sequence[str] = (), least: int = 0, denies: bool = False
) -> Condition:
    """What `tls:` of a rule says."""
    items = [(SNI, one.encode()) for one in sni]
    items += [(ALPN, one.encode()) for one in alpn]
    items += [(VERSION, least.to_bytes(2, "big"))] if least else []
    return Condition(tuple(items), denies)

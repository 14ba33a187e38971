"""Conditions of rules, as Python writes them for the engine.

In: names, protocols, versions. Out: model values. I/O: none.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyctl.model.policy import Condition

SNI, ALPN, VERSION, METHOD, HOST, PATH = range(1, 7)


def tls(
    *sni: str, alpn: Sequence[str] = (), least: int = 0, denies: bool = False
) -> Condition:
    """What `tls:` of a rule says."""
    items = [(SNI, one.encode()) for one in sni]
    items += [(ALPN, one.encode()) for one in alpn]
    items += [(VERSION, least.to_bytes(2, "big"))] if least else []
    return Condition(tuple(items), denies)


def http(
    *paths: str,
    methods: Sequence[str] = (),
    hosts: Sequence[str] = (),
    denies: bool = False,
) -> Condition:
    """What `http:` of a rule says; a path ends in * or is whole."""
    named = methods or ([] if denies else ["*"])
    items = [(METHOD, one.encode()) for one in named]
    items += [(HOST, one.encode()) for one in hosts]
    items += [
        (PATH, f"*{one[:-1]}".encode() if one.endswith("*") else f"={one}".encode())
        for one in paths
    ]
    return Condition(tuple(items), denies)

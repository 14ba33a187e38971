"""Floods of denials become counts, as those of flows do in history/fold.py.

In: the happenings of one round. Out: as many or fewer. I/O: none.
A scan makes thousands of them in a second, each of another port: they would drown all that the log and
`segctl events` have to tell beside them. So where a round has many, those of one crowd are told as one with
their packets: a crowd is what differs in the opener's port only, then in both ports, then in the far end.
Whoever is not in a crowd is told whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pyctl.agent.events import Happening

FLOOD = 100
"""Happenings of one round that are told one by one."""
CROWD = 8


def folded(happenings: Iterable[Happening], most: int = FLOOD) -> list[Happening]:
    """Every packet and byte is in the result once."""
    found = _gathered(happenings, lambda one: one, 1)
    for blurred in (_of_any_source_port, _of_any_port, _of_any_far_end):
        if len(found) > most:
            found = _gathered(found, blurred, CROWD)
    return found


def _gathered(
    happenings: Iterable[Happening],
    blurred: Callable[[Happening], Happening],
    most: int,
) -> list[Happening]:
    crowds: dict[Happening, list[Happening]] = {}
    for one in happenings:
        crowds.setdefault(blurred(one).named, []).append(one)
    found: list[Happening] = []
    for crowd in crowds.values():
        if len(crowd) <= most:
            found += crowd
            continue
        sum_ = blurred(crowd[0])
        for one in crowd[1:]:
            sum_ = sum_.repeated(one)
        found.append(sum_)
    return found


def _of_any_source_port(one: Happening) -> Happening:
    return replace(one, source=_address(one.source))


def _of_any_port(one: Happening) -> Happening:
    return replace(
        one, source=_address(one.source), destination=_address(one.destination)
    )


def _of_any_far_end(one: Happening) -> Happening:
    if one.direction == "egress":
        return replace(one, source=_address(one.source), destination=None)
    return replace(one, source=None, destination=_address(one.destination))


def _address(endpoint: str | None) -> str | None:
    """The inverse of report.endpoint."""
    if endpoint is None:
        return None
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    return endpoint.partition(":")[0] if endpoint.count(":") == 1 else endpoint

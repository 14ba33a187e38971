"""Which interfaces of a workload are spliced, and why others are not.

In: a process, the names asked for. Out: names and warnings; or a refusal, with nothing
touched. I/O: reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from pyctl.errors import NotFoundError, RefusedError
from pyctl.intercept.enforcer import is_enforcer
from pyctl.intercept.kinds.choose import KINDS
from pyctl.intercept.survey.obstacles import lost_by_move
from pyctl.intercept.survey.peer import host_side_numbers
from pyctl.model.instance import Instance
from pyctl.model.workload import ProcessRef
from pyctl.platform import netns
from pyctl.platform.netlink import l3, links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink
from pyctl.platform.process import netns_of

UNTOUCHED = "nothing was changed"


def refuse_netns(instance: Instance, process: ProcessRef) -> None:
    """Raise RefusedError for a namespace that is not a workload's own."""
    for path, owner in (
        ("/proc/1/ns/net", "the host"),
        ("/proc/self/ns/net", "this agent"),
    ):
        try:
            found = Path(path).stat()
        except PermissionError:
            # Process 1 of an outer container: what cannot be read is not this process's own.
            continue
        if (found.st_dev, found.st_ino) == process.netns:
            raise RefusedError(
                f"process {process.pid} has the network namespace of {owner}",
                state=UNTOUCHED,
                advice="only a process with a network namespace of its own can be attached",
            )
    if is_enforcer(instance, process.netns):
        raise RefusedError(
            f"process {process.pid} lives in the enforcer's own network namespace",
            state=UNTOUCHED,
            advice="give the pid of a workload",
        )


def has_address(nl: RawNetlink, link: Link) -> bool:
    """Return whether the interface has an address beyond the link-local one that every interface gets."""
    bodies = l3.dump_addresses(nl, link.index)
    return any(l3.address_scope(body) < l3.RT_SCOPE_LINK for body in bodies)


def addressed(nl: RawNetlink) -> frozenset[int]:
    """Return the indexes of all interfaces of which `has_address` is true, read once."""
    return frozenset(
        index
        for index, body in l3.dump_all_addresses(nl)
        if l3.address_scope(body) < l3.RT_SCOPE_LINK
    )


def refuse_link(
    nl: RawNetlink, link: Link, netns_fd: int, *, force: bool
) -> tuple[str, ...]:
    """Raise RefusedError if splicing this interface would break what hangs on it, unless `force`; return what
    is lost, a sentence each.
    """
    if link.kind not in KINDS:
        kind = link.kind or "physical or built-in"
        _refuse(
            link, f"is of kind {kind}", f"only {' and '.join(KINDS)} can be spliced"
        )
    if not (force or link.up or has_address(nl, link)):
        advice = "give it one first, name other interfaces, or use --force"
        _refuse(link, "is down and has no address", advice)
    found = lost_by_move(nl, link, netns_fd)
    if found and not force:
        what = " and ".join(one.what for one in found)
        advice = "moving would destroy it: take it off first, or lose it with --force"
        _refuse(link, f"has {what}", advice)
    return tuple(f"{link.name} had {one.what}, which {one.becomes}" for one in found)


def _refuse(link: Link, why: str, advice: str) -> NoReturn:
    raise RefusedError(f"{link.name} {why}", state=UNTOUCHED, advice=advice)


def select_interfaces(
    process: ProcessRef, wanted: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (interfaces to splice, warnings about the others), as `candidates`.

    RefusedError if nothing is left to splice.
    """
    chosen, warnings = candidates(process, wanted)
    if not chosen:
        raise RefusedError(
            f"process {process.pid} has no interface to splice",
            state=UNTOUCHED,
            advice="; ".join(warnings)
            or f"a {' or '.join(KINDS)} with an address is needed",
        )
    return chosen, warnings


class Found(NamedTuple):
    """The interfaces of a workload, as `find` sorts them."""

    to_host: tuple[str, ...]
    """They lead to the host's side."""
    bare: frozenset[str]
    """Those of `to_host` that are up without an address and were not asked for."""
    inwards: tuple[str, ...]
    """They lead to another namespace, as a container inside the workload."""
    warnings: tuple[str, ...]


def candidates(
    process: ProcessRef, wanted: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (interfaces that are or can be spliced, warnings about the others); may be none. As `find`."""
    found = find(process, wanted)
    return (*found.to_host, *found.inwards), found.warnings


def find(process: ProcessRef, wanted: Sequence[str] = ()) -> Found:
    """Find the interfaces that can be spliced, or are.

    Without `wanted`: every one of KINDS whose other end is in another namespace, and that has an
    address, or is up and leads to the host's side. Raises NotFoundError for a wanted name that is not
    there.
    """
    with netns_of(process) as fd, netns.raw_in(fd) as nl:
        there = {link.name: link for link in links.dump(nl)}
        missing = [name for name in wanted if name not in there]
        if missing:
            raise NotFoundError(
                f"process {process.pid} has no interface {', '.join(missing)}",
                state=UNTOUCHED,
                advice=f"it has {', '.join(there)}",
            )
        with_address, host_sides = addressed(nl), host_side_numbers(nl, fd)
        to_host, bare, inwards, warnings = [], set(), [], []
        for link in there.values():
            asked = link.name in wanted
            if (wanted and not asked) or link.flags & links.IFF_LOOPBACK:
                continue
            concerned = asked or link.index in with_address
            if link.kind not in KINDS:
                if concerned:
                    kind = link.kind or "physical or built-in"
                    warnings.append(f"{link.name} is of kind {kind} and stays as it is")
            elif link.link_nsid in host_sides:
                if concerned or link.up:
                    to_host.append(link.name)
                    if not concerned:
                        bare.add(link.name)
            elif asked or (concerned and link.link_nsid is not None):
                inwards.append(link.name)
    return Found(tuple(to_host), frozenset(bare), tuple(inwards), tuple(warnings))

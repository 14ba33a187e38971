"""Which interfaces of a workload are spliced, and why others are not.

In: a process, the names asked for. Out: names and warnings; or a refusal, with nothing
touched. I/O: reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyctl.errors import NotFoundError, RefusedError
from pyctl.intercept.enforcer import is_enforcer
from pyctl.model.instance import Instance
from pyctl.model.workload import LinkKind, ProcessRef
from pyctl.platform import l3, links, netns
from pyctl.platform.bpf_tcx import count_programs
from pyctl.platform.links import Link
from pyctl.platform.netlink import NetlinkSocket
from pyctl.platform.process import netns_of

UNTOUCHED = "nothing was changed"
KINDS = {kind.value for kind in LinkKind}


def refuse_netns(instance: Instance, process: ProcessRef) -> None:
    """RefusedError for a namespace that is not a workload's own."""
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


def has_address(nl: NetlinkSocket, link: Link) -> bool:
    """It has an address beyond the link-local one that every interface gets."""
    bodies = l3.dump_addresses(nl, link.index)
    return any(l3.address_scope(body) < l3.RT_SCOPE_LINK for body in bodies)


def refuse_link(nl: NetlinkSocket, link: Link, netns_fd: int) -> None:
    """RefusedError where splicing this interface would break what hangs on it."""
    _refuse(link, _why_not(nl, link, netns_fd))


def refuse_loss(nl: NetlinkSocket, link: Link, netns_fd: int) -> None:
    """The same for giving it up again: what came onto it meanwhile would go with it."""
    _refuse(link, _what_hangs_on(nl, link, netns_fd))


def _refuse(link: Link, why: tuple[str, str] | None) -> None:
    if why:
        raise RefusedError(f"{link.name} {why[0]}", state=UNTOUCHED, advice=why[1])


def _why_not(nl: NetlinkSocket, link: Link, netns_fd: int) -> tuple[str, str] | None:
    """(what is in the way, what to do about it)."""
    if link.kind not in KINDS:
        kind = link.kind or "physical or built-in"
        return f"is of kind {kind}", "only veth and macvlan can be spliced"
    if not has_address(nl, link):
        return "has no address", "give it one first, or name other interfaces"
    return _what_hangs_on(nl, link, netns_fd)


def _what_hangs_on(
    nl: NetlinkSocket, link: Link, netns_fd: int
) -> tuple[str, str] | None:
    if link.master:
        return (
            "is a port of a bridge or bond",
            "take it out, or splice what is behind it",
        )
    lost = [f"{name} on top of it" for name in _uppers(nl, link)]
    lost += ["an XDP program"] if link.xdp else []
    lost += ["a tcx program"] if count_programs(netns_fd, link.index) else []
    lost += [f"a {kind} qdisc" for kind in links.foreign_qdiscs(nl, link.index)]
    if lost:
        return f"has {' and '.join(lost)}", "moving would destroy it: take it off first"
    return None


def _uppers(nl: NetlinkSocket, link: Link) -> list[str]:
    return [
        other.name
        for other in links.dump(nl)
        if other.link == link.index and other.link_nsid is None and other.kind != "veth"
    ]


def select_interfaces(
    process: ProcessRef, wanted: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(interfaces to splice, warnings about the others).

    As `candidates` has it. RefusedError where nothing is left to splice.
    """
    chosen, warnings = candidates(process, wanted)
    if not chosen:
        raise RefusedError(
            f"process {process.pid} has no interface to splice",
            state=UNTOUCHED,
            advice="; ".join(warnings) or "a veth or macvlan with an address is needed",
        )
    return chosen, warnings


def candidates(
    process: ProcessRef, wanted: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(interfaces that can be spliced or are, warnings about the others); may be none.

    Without `wanted`: every veth and macvlan that has an address. Raises NotFoundError
    for a wanted name that is not there.
    """
    with netns_of(process) as fd, netns.netlink_in(fd) as nl:
        found = {link.name: link for link in links.dump(nl)}
        missing = [name for name in wanted if name not in found]
        if missing:
            raise NotFoundError(
                f"process {process.pid} has no interface {', '.join(missing)}",
                state=UNTOUCHED,
                advice=f"it has {', '.join(found)}",
            )
        chosen, warnings = [], []
        for link in found.values():
            asked = link.name in wanted
            if (wanted and not asked) or (not asked and not _concerns(nl, link)):
                continue
            if link.kind in KINDS:
                chosen.append(link.name)
            else:
                kind = link.kind or "physical or built-in"
                warnings.append(f"{link.name} is of kind {kind} and stays as it is")
    return tuple(chosen), tuple(warnings)


def _concerns(nl: NetlinkSocket, link: Link) -> bool:
    return not link.flags & links.IFF_LOOPBACK and has_address(nl, link)

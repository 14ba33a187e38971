"""The bridge or VRF inside the workload that its interface is a port of, and all that it keeps of that port.

In: a socket in the workload's namespace, a Snapshot or a Link. Out: what was refused, is lost or is not as it
was, in words. I/O: rtnetlink.
"""

from __future__ import annotations

from pyctl.errors import RefusedError
from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.bridge import port as bridge_port
from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import RawNetlink

_TAKES_BACK = frozenset({"bridge", "vrf"})


def unfit_master(nl: RawNetlink, link: Link) -> str | None:
    """Return the interface's master if that cannot take it back as it was (a bond, a team), else None."""
    master = links.by_index(nl, link.master) if link.master else None
    if master is None or master.kind in _TAKES_BACK:
        return None
    return f"{master.name} ({master.kind or 'of no kind'})"


def refuse_master(nl: RawNetlink, link: Link) -> None:
    """Raise RefusedError for a port of such a master: all that leads over that would be cut off."""
    if unfit := unfit_master(nl, link):
        raise RefusedError(
            f"{link.name} is a port of {unfit}, which takes no interface back as it was",
            state="nothing was changed",
            advice="take it out of there first; there is no --force for this",
        )


def put_back(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Make the interface a port again, with all its settings; return what the kernel refused."""
    link, now = snapshot.link, links.by_index(nl, snapshot.link.index)
    if not link.master or now is None:
        return []
    if now.master != link.master:
        enslave = links.set_message(link.index, master=link.master)
        if refused := [str(error) for error in nl.batch([enslave]) if error]:
            return refused
    if snapshot.port is None:
        return []
    return bridge_port.put_back(nl, link.index, snapshot.port)


def put_back_running(nl: RawNetlink, snapshot: Snapshot) -> list[str]:
    """Restore what a bridge takes only from a port with a carrier; return what the kernel refused."""
    if snapshot.port is None or links.by_index(nl, snapshot.link.index) is None:
        return []
    return bridge_port.put_back_running(nl, snapshot.link.index, snapshot.port)


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what of the port's place in its master has changed, one line each."""
    if before.port:
        return bridge_port.differences(before.port, after.port)
    same = before.link.master == after.link.master
    return [] if same else ["it is no port of its master any more"]

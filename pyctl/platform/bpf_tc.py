"""BPF programs on tc-clsact ingress, in one network namespace.

In: ifindexes, program descriptors. Out: filters as the kernel holds them. I/O: rtnetlink, by
pyroute2. A filter is ours by its priority, handle and kind; nothing else on the hook is touched, so
that the u32 rules (and whatever stands at other priorities) stay.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pyroute2 import IPRoute, NetlinkError
from pyroute2.netlink.rtnl.tcmsg import sched_bpf

from pyctl.errors import NotFoundError, NotPermittedError, SegctlError
from pyctl.platform.netns import entered, opened

TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK = 0xFFFFFFF2, 0xFFFFFFF3
"""TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS and TC_H_MIN_EGRESS)"""
TCA_BPF_FLAG_ACT_DIRECT = 1
HANDLE = 1

# pyroute2 knows the attributes of cls_bpf up to TCA_BPF_FLAGS; these follow (linux/pkt_cls.h).
_NEWER = (
    ("TCA_BPF_FLAGS_GEN", "uint32"),
    ("TCA_BPF_TAG", "hex"),
    ("TCA_BPF_ID", "uint32"),
)
if sched_bpf.options.nla_map[-1][0] == "TCA_BPF_FLAGS":
    sched_bpf.options.nla_map += _NEWER


@dataclass(frozen=True)
class BpfFilter:
    """One cls_bpf filter on an ingress hook."""

    ifindex: int
    priority: int
    handle: int
    name: str
    prog_id: int
    tag: str
    direct_action: bool


class TcHooks:
    """The ingress hooks of one network namespace. To be used by one thread, and closed.

    Every method raises NotFoundError for a link that is not there, NotPermittedError without
    CAP_NET_ADMIN, SegctlError for other refusals.
    """

    def __init__(self, netns: Path) -> None:
        # Not IPRoute(netns=...): it forks to get there, which a process with threads must not.
        with opened(netns) as fd, entered(fd):
            self._ip = IPRoute()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._ip.close()

    def link_name(self, ifindex: int) -> str | None:
        """The link's name, None where there is none."""
        try:
            (link,) = self._ip.get_links(ifindex)
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise _told("asking for a link", ifindex, error) from error
        return str(link.get_attr("IFLA_IFNAME"))

    def add_clsact(self, ifindex: int) -> bool:
        """The clsact qdisc; True where it was not there before."""
        try:
            self._ip.tc("add", "clsact", index=ifindex)
        except NetlinkError as error:
            if error.code == errno.EEXIST and self.has_clsact(ifindex):
                return False
            raise _told("adding a clsact qdisc", ifindex, error) from error
        return True

    def has_clsact(self, ifindex: int) -> bool:
        """Whether the qdisc is there; a plain ingress qdisc, which excludes it, is not it."""
        return any(
            qdisc.get_attr("TCA_KIND") == "clsact"
            for qdisc in self._ip.get_qdiscs(index=ifindex)
        )

    def remove_clsact_if_empty(self, ifindex: int) -> None:
        """Where no filter of anybody is left on either hook. Idempotent."""
        hooks = (TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK)
        if any(self._dump(ifindex, hook) for hook in hooks):
            return
        # The kernel refuses where the qdisc is absent, or of another kind. It is not asked for: the
        # answer would be those of all links.
        self._gone(
            "removing the clsact qdisc",
            ifindex,
            lambda: self._ip.tc("del", "clsact", index=ifindex),
        )

    def set_filter(self, ifindex: int, priority: int, prog_fd: int, name: str) -> None:
        """Our one filter at `priority`, in place of a former one without a gap between."""
        try:
            self._ip.tc(
                "replace-filter",
                "bpf",
                fd=prog_fd,
                name=name,
                direct_action=True,
                **_place(ifindex, priority),
            )
        except NetlinkError as error:
            raise _told(f"attaching {name}", ifindex, error) from error

    def remove_filter(self, ifindex: int, priority: int) -> None:
        """Idempotent, also where the link is gone."""
        place = _place(ifindex, priority)
        self._gone(
            "removing our filter",
            ifindex,
            lambda: self._ip.tc("del-filter", "bpf", **place),
        )

    def filters(self, ifindex: int) -> list[BpfFilter]:
        """The cls_bpf filters of the hook, by priority; none where the link is gone."""
        found = []
        for message in self._dump(ifindex, TC_H_INGRESS_HOOK):
            options = message.get_attr("TCA_OPTIONS")
            if message.get_attr("TCA_KIND") != "bpf" or options is None:
                continue
            flags = options.get_attr("TCA_BPF_FLAGS") or 0
            found.append(
                BpfFilter(
                    ifindex=message["index"],
                    priority=message["info"] >> 16,
                    handle=message["handle"],
                    name=options.get_attr("TCA_BPF_NAME") or "",
                    prog_id=options.get_attr("TCA_BPF_ID") or 0,
                    tag=(options.get_attr("TCA_BPF_TAG") or "").replace(":", ""),
                    direct_action=bool(flags & TCA_BPF_FLAG_ACT_DIRECT),
                )
            )
        return sorted(found, key=lambda one: (one.priority, one.handle))

    def _dump(self, ifindex: int, hook: int) -> list[Any]:
        try:
            return list(self._ip.get_filters(index=ifindex, parent=hook))
        except NetlinkError as error:
            if error.code in (errno.ENODEV, errno.EINVAL):
                return []
            raise _told("listing filters", ifindex, error) from error

    def _gone(self, what: str, ifindex: int, remove: Callable[[], object]) -> None:
        try:
            remove()
        except NetlinkError as error:
            # No link, no qdisc (EINVAL says so of both hook and handle), no filter.
            if error.code in (errno.ENODEV, errno.ENOENT, errno.EINVAL):
                return
            raise _told(what, ifindex, error) from error


def _place(ifindex: int, priority: int) -> dict[str, int]:
    return {
        "index": ifindex,
        "parent": TC_H_INGRESS_HOOK,
        "prio": priority,
        "handle": HANDLE,
    }


def _told(what: str, ifindex: int, error: NetlinkError) -> SegctlError:
    tried = f"{what} on interface {ifindex} of the enforcer namespace: {error}"
    if error.code == errno.ENODEV:
        return NotFoundError(tried, errno=error.code)
    if error.code == errno.EPERM:
        return NotPermittedError(tried, advice="run as root", errno=error.code)
    return SegctlError(tried, errno=error.code)

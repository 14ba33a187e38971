"""BPF programs on the hooks of tc-clsact, in one network namespace.

In: ifindexes, program descriptors. Out: filters as the kernel holds them. I/O: rtnetlink. pyroute2
hangs programs and takes them down; the qdisc, and what is there, is `TcFilters`', as for the u32 rules.
A filter is ours by its priority, handle and kind; nothing else on the hook is touched, so that the
u32 rules (and whatever stands at other priorities) stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from pyctl.platform.netlink.raw import attrs, kernel_socket, text, u32
from pyctl.platform.netns import entered, opened
from pyctl.platform.tc.filters import GONE, Filter, TcFilters, refused
from pyctl.platform.tc.messages import TC_H_INGRESS_HOOK, TCA_OPTIONS

TCA_BPF_NAME, TCA_BPF_FLAGS, TCA_BPF_TAG, TCA_BPF_ID = 7, 8, 10, 11
TCA_BPF_FLAG_ACT_DIRECT = 1
HANDLE = 1


@dataclass(frozen=True)
class BpfFilter:
    """A cls_bpf filter."""

    priority: int
    handle: int
    name: str
    prog_id: int
    tag: str
    direct_action: bool


def programs(found: Iterable[Filter]) -> list[BpfFilter]:
    """Return the cls_bpf filters among those of a hook, by priority."""
    told = [_program(one) for one in found if one.kind == "bpf" and one.handle]
    return sorted(told, key=lambda one: (one.priority, one.handle))


def _program(one: Filter) -> BpfFilter:
    options = attrs(one.attributes.get(TCA_OPTIONS, b""))
    return BpfFilter(
        priority=one.pref,
        handle=one.handle,
        name=text(options.get(TCA_BPF_NAME)),
        prog_id=u32(options.get(TCA_BPF_ID)),
        tag=options.get(TCA_BPF_TAG, b"").hex(),
        direct_action=bool(u32(options.get(TCA_BPF_FLAGS)) & TCA_BPF_FLAG_ACT_DIRECT),
    )


class BpfHooks(TcFilters):
    """The tc hooks of one namespace, with calls that attach and remove programs on either side."""

    def __init__(self, netns: Path) -> None:
        # Not IPRoute(netns=...): it forks to get there, which a process with threads must not.
        with opened(netns) as fd, entered(fd):
            super().__init__()
            self._ip = IPRoute(fileno=kernel_socket().detach())

    def close(self) -> None:
        """Close both sockets. Idempotent."""
        super().close()
        self._ip.close()

    def set_program(
        self,
        ifindex: int,
        priority: int,
        prog_fd: int,
        name: str,
        side: int = TC_H_INGRESS_HOOK,
    ) -> None:
        """Set our one filter at `priority`; it replaces a former one without a gap."""
        try:
            self._ip.tc(
                "replace-filter",
                "bpf",
                fd=prog_fd,
                name=name,
                direct_action=True,
                **_place(ifindex, priority, side),
            )
        except NetlinkError as error:
            what = f"attaching {name} to interface {ifindex}"
            raise refused(what, error.code, error) from error

    def remove_program(
        self, ifindex: int, priority: int, side: int = TC_H_INGRESS_HOOK
    ) -> None:
        """Remove our filter. Idempotent, also if the link is gone."""
        try:
            self._ip.tc("del-filter", "bpf", **_place(ifindex, priority, side))
        except NetlinkError as error:
            if error.code not in GONE:
                what = f"removing our filter from interface {ifindex}"
                raise refused(what, error.code, error) from error


def _place(ifindex: int, priority: int, side: int) -> dict[str, int]:
    return {
        "index": ifindex,
        "parent": side,
        "prio": priority,
        "handle": HANDLE,
    }

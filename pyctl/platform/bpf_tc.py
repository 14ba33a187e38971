"""BPF programs on tc-clsact ingress, in one network namespace.

In: ifindexes, program descriptors. Out: filters as the kernel holds them. I/O: rtnetlink.
A filter is ours by its priority, handle and kind; nothing else on the hook is touched, so that the
u32 rules (and whatever stands at other priorities) stay.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pyctl.errors import NotFoundError, NotPermittedError, SegctlError
from pyctl.platform.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkError,
    NetlinkSocket,
    attr_text,
    attr_u32,
    attrs,
    nest,
    text,
    u32,
)
from pyctl.platform.netns import netlink_in, opened

RTM_GETLINK = 18
RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS = 6, 7, 8
TCA_BPF_TAG, TCA_BPF_ID = 10, 11
TCA_BPF_FLAG_ACT_DIRECT = 1
IFLA_IFNAME = 3
TC_H_CLSACT = 0xFFFFFFF1
TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK = 0xFFFFFFF2, 0xFFFFFFF3
"""TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS and TC_H_MIN_EGRESS)"""
ETH_P_ALL = 0x0003
HANDLE = 1

_TCMSG = struct.Struct("=BxxxiIII")


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
    """The ingress hooks of one network namespace.

    Every method raises NotFoundError for a link that is not there, NotPermittedError without
    CAP_NET_ADMIN, SegctlError for other refusals.
    """

    def __init__(self, netns: Path) -> None:
        with opened(netns) as fd:
            self._socket: NetlinkSocket = netlink_in(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()

    def link_name(self, ifindex: int) -> str | None:
        """The link's name, None where there is none."""
        body = struct.pack("=BxHiII", 0, 0, ifindex, 0, 0)
        try:
            answer = self._socket.get(RTM_GETLINK, body)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise _told("asking for a link", ifindex, error) from error
        return text(attrs(answer[16:]).get(IFLA_IFNAME))

    def add_clsact(self, ifindex: int) -> bool:
        """The clsact qdisc; True where it was not there before."""
        body = _TCMSG.pack(0, ifindex, 0xFFFF0000, TC_H_CLSACT, 0)
        body += attr_text(TCA_KIND, "clsact")
        try:
            self._socket.request(RTM_NEWQDISC, body, NLM_F_CREATE | NLM_F_EXCL)
        except NetlinkError as error:
            if error.errno == errno.EEXIST and self.has_clsact(ifindex):
                return False
            raise _told("adding a clsact qdisc", ifindex, error) from error
        return True

    def has_clsact(self, ifindex: int) -> bool:
        """Whether the qdisc is there; a plain ingress qdisc, which excludes it, is not it."""
        body = _TCMSG.pack(0, ifindex, 0, 0, 0)
        for answer in self._socket.dump(RTM_GETQDISC, body):
            if _TCMSG.unpack_from(answer)[1] == ifindex:
                kind = text(attrs(answer[_TCMSG.size :]).get(TCA_KIND))
                if kind == "clsact":
                    return True
        return False

    def remove_clsact_if_empty(self, ifindex: int) -> None:
        """Where no filter of anybody is left on either hook. Idempotent."""
        if any(
            self._dump(ifindex, hook) for hook in (TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK)
        ):
            return
        if not self.has_clsact(ifindex):
            return
        body = _TCMSG.pack(0, ifindex, 0xFFFF0000, TC_H_CLSACT, 0)
        self._gone(RTM_DELQDISC, body, "removing the clsact qdisc", ifindex)

    def set_filter(self, ifindex: int, priority: int, prog_fd: int, name: str) -> None:
        """Our one filter at `priority`, in place of a former one without a gap between."""
        body = _filter(ifindex, priority) + attr_text(TCA_KIND, "bpf")
        body += nest(
            TCA_OPTIONS,
            attr_u32(TCA_BPF_FD, prog_fd),
            attr_text(TCA_BPF_NAME, name),
            attr_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
        )
        try:
            self._socket.request(RTM_NEWTFILTER, body, NLM_F_CREATE | NLM_F_REPLACE)
        except NetlinkError as error:
            raise _told(f"attaching {name}", ifindex, error) from error

    def remove_filter(self, ifindex: int, priority: int) -> None:
        """Idempotent, also where the link is gone."""
        body = _filter(ifindex, priority) + attr_text(TCA_KIND, "bpf")
        self._gone(RTM_DELTFILTER, body, "removing our filter", ifindex)

    def filters(self, ifindex: int) -> list[BpfFilter]:
        """The cls_bpf filters of the hook, by priority; none where the link is gone."""
        found = []
        for answer in self._dump(ifindex, TC_H_INGRESS_HOOK):
            _, index, handle, _, info = _TCMSG.unpack_from(answer)
            outer = attrs(answer[_TCMSG.size :])
            inner = attrs(outer.get(TCA_OPTIONS, b""))
            if text(outer.get(TCA_KIND)) != "bpf" or index != ifindex or not inner:
                continue
            flags = u32(inner.get(TCA_BPF_FLAGS))
            found.append(
                BpfFilter(
                    ifindex=index,
                    priority=info >> 16,
                    handle=handle,
                    name=text(inner.get(TCA_BPF_NAME)),
                    prog_id=u32(inner.get(TCA_BPF_ID)),
                    tag=inner.get(TCA_BPF_TAG, b"").hex(),
                    direct_action=bool(flags & TCA_BPF_FLAG_ACT_DIRECT),
                )
            )
        return sorted(found, key=lambda one: (one.priority, one.handle))

    def _dump(self, ifindex: int, hook: int) -> list[bytes]:
        try:
            return self._socket.dump(
                RTM_GETTFILTER, _TCMSG.pack(0, ifindex, 0, hook, 0)
            )
        except NetlinkError as error:
            if error.errno in (errno.ENODEV, errno.EINVAL):
                return []
            raise _told("listing filters", ifindex, error) from error

    def _gone(self, kind: int, body: bytes, what: str, ifindex: int) -> None:
        try:
            self._socket.request(kind, body)
        except NetlinkError as error:
            # No link, no qdisc (EINVAL says so of both hook and handle), no filter.
            if error.errno in (errno.ENODEV, errno.ENOENT, errno.EINVAL):
                return
            raise _told(what, ifindex, error) from error


def _filter(ifindex: int, priority: int) -> bytes:
    # The protocol stands in the low half of tcm_info, in network order.
    info = priority << 16 | socket.htons(ETH_P_ALL)
    return _TCMSG.pack(0, ifindex, HANDLE, TC_H_INGRESS_HOOK, info)


def _told(what: str, ifindex: int, error: NetlinkError) -> SegctlError:
    tried = f"{what} on interface {ifindex} of the enforcer namespace: {error}"
    if error.errno == errno.ENODEV:
        return NotFoundError(tried, errno=error.errno)
    if error.errno == errno.EPERM:
        return NotPermittedError(tried, advice="run as root", errno=error.errno)
    return SegctlError(tried, errno=error.errno)

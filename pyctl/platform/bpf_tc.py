"""BPF programs on tc-clsact ingress, in one network namespace.

In: ifindexes, program descriptors. Out: filters as the kernel holds them. I/O: rtnetlink, as
tc_filters. A filter is ours by its priority, handle and kind; nothing else on the hook is touched, so
that the u32 rules (and whatever stands at other priorities) stay.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pyctl.platform.netlink import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    Message,
    attr_text,
    attr_u32,
    attrs,
    nest,
    text,
    u32,
)
from pyctl.platform.tc_filters import (
    RTM_DELTFILTER,
    RTM_NEWTFILTER,
    TC_H_INGRESS_HOOK,
    TCA_KIND,
    TCA_OPTIONS,
    TCMSG,
    TcFilters,
)

HANDLE = 1
TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS, TCA_BPF_TAG, TCA_BPF_ID = 6, 7, 8, 10, 11
TCA_BPF_FLAG_ACT_DIRECT = 1
_ALL = socket.htons(0x0003)
"""ETH_P_ALL"""


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


class BpfHooks(TcFilters):
    """The ingress hooks of one namespace, as places of programs. Raises as TcFilters does."""

    def set_program(self, ifindex: int, priority: int, prog_fd: int, name: str) -> None:
        """Our one filter at `priority`, in place of a former one without a gap between."""
        options = nest(
            TCA_OPTIONS,
            attr_u32(TCA_BPF_FD, prog_fd),
            attr_text(TCA_BPF_NAME, name),
            attr_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
        )
        body = _place(ifindex, priority) + options
        flags = NLM_F_CREATE | NLM_F_REPLACE
        what = f"attaching {name} to interface {ifindex}"
        self.send(what, [Message(RTM_NEWTFILTER, body, flags)])

    def remove_program(self, ifindex: int, priority: int) -> None:
        """Idempotent, also where the link is gone."""
        what = f"removing our filter from interface {ifindex}"
        self.try_each(what, [Message(RTM_DELTFILTER, _place(ifindex, priority))])

    def programs(self, ifindex: int) -> list[BpfFilter]:
        """The cls_bpf filters of the hook, by priority; none where the link is gone."""
        found = [
            _program(one.body) for one in self.filters(ifindex) if one.kind == "bpf"
        ]
        return sorted(
            (one for one in found if one), key=lambda one: (one.priority, one.handle)
        )


def _place(ifindex: int, priority: int) -> bytes:
    head = TCMSG.pack(0, ifindex, HANDLE, TC_H_INGRESS_HOOK, priority << 16 | _ALL)
    return head + attr_text(TCA_KIND, "bpf")


def _program(body: bytes) -> BpfFilter | None:
    """None for the classifier that holds them, of which the kernel tells too."""
    _family, ifindex, handle, _parent, info = TCMSG.unpack_from(body)
    found = attrs(body[TCMSG.size :])
    if TCA_OPTIONS not in found:
        return None
    options = attrs(found[TCA_OPTIONS])
    return BpfFilter(
        ifindex=ifindex,
        priority=info >> 16,
        handle=handle,
        name=text(options.get(TCA_BPF_NAME)),
        prog_id=u32(options.get(TCA_BPF_ID)),
        tag=options.get(TCA_BPF_TAG, b"").hex(),
        direct_action=bool(u32(options.get(TCA_BPF_FLAGS)) & TCA_BPF_FLAG_ACT_DIRECT),
    )

"""A played client for TcFilters: links, qdiscs and filters, and what is refused."""

from __future__ import annotations

from pyctl.platform.netlink import links
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import NetlinkError, attr_text
from pyctl.platform.tc.filters import TcFilters
from pyctl.platform.tc.messages import TC_H_CLSACT, TC_H_INGRESS_HOOK, TCA_KIND, TCMSG


def qdisc(ifindex: int, kind: str, handle: int = 0xFFFF0000) -> bytes:
    head = TCMSG.pack(0, ifindex, handle, TC_H_CLSACT, 0)
    return head + attr_text(TCA_KIND, kind)


def filter_body(
    ifindex: int, pref: int, hook: int = TC_H_INGRESS_HOOK, kind: str = "u32"
) -> bytes:
    head = TCMSG.pack(0, ifindex, 0x80000800, hook, pref << 16 | 8)
    return head + attr_text(TCA_KIND, kind)


class Played(TcFilters):
    """The hooks of a namespace. `refusals`: errno by what is asked."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {5: "vex1"}
        self.there: list[bytes] = []
        self.filters_there: list[bytes] = []
        self.refusals: dict[str, int] = {}
        self.asked: list[str] = []

    def close(self) -> None:
        self.asked.append("close")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.refusals:
            raise NetlinkError(self.refusals[what], "refused")

    def _link(self, ifindex: int) -> Link | None:
        self._ask("link")
        if ifindex not in self.names:
            return None
        name = attr_text(links.IFLA_IFNAME, self.names[ifindex])
        return links.parse(links.ifinfo(ifindex) + name)

    def _add_clsact(self, ifindex: int) -> None:
        self._ask("add")
        self.there.append(qdisc(ifindex, "clsact"))

    def _remove_clsact(self, ifindex: int) -> None:
        self._ask("remove")
        self.there.remove(qdisc(ifindex, "clsact"))

    def _qdiscs(self) -> list[bytes]:
        self._ask("qdiscs")
        return self.there

    def _filters(self, ifindex: int, hook: int, info: int) -> list[bytes]:
        self._ask("filters")
        return [
            body
            for body in self.filters_there
            if TCMSG.unpack_from(body)[1] == ifindex
            and TCMSG.unpack_from(body)[3] == hook
            and info >> 16 in (0, TCMSG.unpack_from(body)[4] >> 16)
        ]

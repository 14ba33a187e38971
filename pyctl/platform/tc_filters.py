"""Filters of any kind on clsact ingress, in one network namespace, as the kernel's own messages.

In: interface indexes, message bodies that somebody else made. Out: bodies, links, errno per message.
I/O: rtnetlink, by our own socket, so that a whole set of rules goes out in one write.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pyctl.errors import (
    NotCapableError,
    NotFoundError,
    NotPermittedError,
    SegctlError,
)
from pyctl.platform import links
from pyctl.platform.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkError,
    NetlinkSocket,
    attr_text,
    attrs,
    text,
)
from pyctl.platform.netns import netlink_in, opened

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC, RTM_GETTFILTER = 36, 37, 38, 46
TC_H_CLSACT, TC_H_CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK = 0xFFFFFFF2, 0xFFFFFFF3
TCA_KIND, TCA_CHAIN = 1, 11
_TCMSG = struct.Struct("=BxxxiIII")


@dataclass(frozen=True)
class Filter:
    """One filter, or the classifier that holds some."""

    pref: int
    kind: str
    body: bytes

    @property
    def handle(self) -> int:
        """0: the classifier."""
        return int(_TCMSG.unpack_from(self.body)[2])

    @property
    def chain(self) -> int:
        """0: the one that every frame goes through."""
        told = attrs(self.body[_TCMSG.size :]).get(TCA_CHAIN, b"")
        return int.from_bytes(told, sys.byteorder)


class TcFilters:
    """One namespace's hooks. To be used by one thread, and closed.

    Every method raises NotFoundError for a link that is not there, NotPermittedError without
    CAP_NET_ADMIN, NotCapableError for a kernel without the module, SegctlError for the rest.
    """

    def __init__(self, socket: NetlinkSocket) -> None:
        self._socket = socket

    @classmethod
    def of(cls, netns: Path) -> Self:
        """Of a named namespace; NotFoundError where there is none."""
        with opened(netns) as fd:
            return cls(netlink_in(fd))

    @classmethod
    def here(cls) -> Self:
        """Of the calling thread's."""
        return cls(NetlinkSocket())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def name_of(self, ifindex: int) -> str | None:
        """The link's name, None where there is none. Asked for by itself: of a node with thousands
        of links, nobody wants them all.
        """
        if ifindex <= 0:
            # An action whose link was deleted names it so.
            return None
        try:
            link = links.by_index(self._socket, ifindex)
        except NetlinkError as error:
            raise _told("asking for a link", error) from error
        return link.name if link else None

    def add_clsact(self, ifindex: int) -> bool:
        """The clsact qdisc; True where it was not there before."""
        body = _TCMSG.pack(0, ifindex, TC_H_CLSACT_HANDLE, TC_H_CLSACT, 0)
        body += attr_text(TCA_KIND, "clsact")
        try:
            self._socket.request(RTM_NEWQDISC, body, NLM_F_CREATE | NLM_F_EXCL)
        except NetlinkError as error:
            # Filters on the hook say it at once, whatever qdisc holds it.
            if error.errno == errno.EEXIST and (
                self.filters(ifindex) or self.has_clsact(ifindex)
            ):
                return False
            what = f"adding a clsact qdisc to interface {ifindex}"
            raise _told(what, error) from error
        return True

    def has_clsact(self, ifindex: int) -> bool:
        """Whether the qdisc is there; a plain ingress qdisc, which excludes it, is not it."""
        # The kernel tells of all links, whichever is asked for.
        question = _TCMSG.pack(0, ifindex, 0, 0, 0)
        try:
            bodies = self._socket.dump(RTM_GETQDISC, question)
        except NetlinkError as error:
            what = f"looking for the clsact qdisc of interface {ifindex}"
            raise _told(what, error) from error
        return any(
            _TCMSG.unpack_from(body)[1] == ifindex
            and text(attrs(body[_TCMSG.size :]).get(TCA_KIND)) == "clsact"
            for body in bodies
        )

    def remove_clsact_if_empty(self, ifindex: int) -> None:
        """Where no filter of anybody is left on either hook. Idempotent."""
        for hook in (TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK):
            if self.filters(ifindex, hook=hook):
                return
        # The kernel refuses where the qdisc is absent, or of another kind.
        body = _TCMSG.pack(0, ifindex, TC_H_CLSACT_HANDLE, TC_H_CLSACT, 0)
        try:
            self._socket.request(RTM_DELQDISC, body + attr_text(TCA_KIND, "clsact"))
        except NetlinkError as error:
            if error.errno not in {errno.ENODEV, errno.ENOENT, errno.EINVAL}:
                what = f"removing the clsact qdisc of interface {ifindex}"
                raise _told(what, error) from error

    def filters(
        self, ifindex: int, pref: int = 0, hook: int = TC_H_INGRESS_HOOK
    ) -> list[Filter]:
        """All of a hook, or of one pref of it; none where the link or its qdisc is gone."""
        question = _TCMSG.pack(0, ifindex, 0, hook, pref << 16)
        try:
            bodies = self._socket.dump(RTM_GETTFILTER, question)
        except NetlinkError as error:
            if error.errno in {errno.ENODEV, errno.EINVAL}:
                return []
            what = f"listing filters of interface {ifindex}"
            raise _told(what, error) from error
        return [_filter(body) for body in bodies]

    def send(self, what: str, messages: Sequence[Message]) -> None:
        """All in one write. Those before a refused one are in force, and those after it may be:
        the caller undoes.
        """
        for refused in self._socket.batch(messages):
            if refused:
                raise _told(what, refused) from refused

    def try_each(self, what: str, messages: Sequence[Message]) -> None:
        """Likewise, for removals: what is gone already is no failure."""
        gone = {errno.ENODEV, errno.ENOENT, errno.EINVAL}
        for refused in self._socket.batch(messages):
            if refused and refused.errno not in gone:
                raise _told(what, refused) from refused


def _filter(body: bytes) -> Filter:
    info = _TCMSG.unpack_from(body)[4]
    return Filter(info >> 16, text(attrs(body[_TCMSG.size :]).get(TCA_KIND)), body)


def _told(what: str, error: NetlinkError) -> SegctlError:
    tried = f"{what} in the enforcer namespace: {error}"
    if error.errno == errno.ENODEV:
        return NotFoundError(tried, errno=error.errno)
    if error.errno == errno.EPERM:
        return NotPermittedError(tried, advice="run as root", errno=error.errno)
    if error.errno == errno.ENOENT:
        return NotCapableError(
            tried,
            advice="`segctl doctor` says which modules the kernel lacks",
            errno=error.errno,
        )
    return SegctlError(tried, errno=error.errno)

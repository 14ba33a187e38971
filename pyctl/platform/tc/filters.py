"""Filters of any kind on clsact ingress, in one network namespace, as the kernel's own messages.

In: interface indexes, message bodies that somebody else made. Out: bodies, links, errno per message.
I/O: rtnetlink, by our own socket: a whole set of rules goes out in one write, and a body is kept as the
kernel wrote it, whatever its kind (`bpf.tc.programs` and `fallback_tc.dump` read their own).
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyctl.errors import (
    NotCapableError,
    NotFoundError,
    NotPermittedError,
    SegctlError,
)
from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    NetlinkError,
    RawNetlink,
    attrs,
    text,
)
from pyctl.platform.netns import opened, raw_in
from pyctl.platform.tc import qdiscs
from pyctl.platform.tc.messages import (
    RTM_DELQDISC,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    TC_H_EGRESS_HOOK,
    TC_H_INGRESS_HOOK,
    TCA_CHAIN,
    TCA_KIND,
    TCMSG,
    clsact,
    on_hook,
)

GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.EINVAL})
"""The errors for removing what is not there: no link, no filter, no qdisc (EINVAL, for hook or handle)."""


@dataclass(frozen=True)
class Filter:
    """A filter, or the classifier that holds some."""

    pref: int
    kind: str
    body: bytes

    @property
    def attributes(self) -> dict[int, bytes]:
        """Return the attributes, TCA_*, as the kernel wrote them."""
        return attrs(self.body[TCMSG.size :])

    @property
    def handle(self) -> int:
        """Return the filter's handle; 0 for the classifier."""
        return int(TCMSG.unpack_from(self.body)[2])

    @property
    def chain(self) -> int:
        """Return the filter's chain; every frame goes through chain 0."""
        told = self.attributes.get(TCA_CHAIN, b"")
        return int.from_bytes(told, sys.byteorder)


class TcFilters:
    """The tc hooks of one namespace. Use it in one thread, and close it.

    NotFoundError where there is no such namespace. Every method raises NotFoundError for a link that
    is not there, NotPermittedError without CAP_NET_ADMIN, NotCapableError for a kernel without the
    module, SegctlError for the rest.
    """

    def __init__(self, netns: Path | None = None) -> None:
        """Open a socket in the namespace; None: the calling thread's."""
        if netns is None:
            self._socket = RawNetlink()
            return
        with opened(netns) as fd:
            self._socket = raw_in(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def name_of(self, ifindex: int) -> str | None:
        """Return the link's name; None if there is none. It asks for this link only: a node may have
        thousands.
        """
        if ifindex <= 0:
            # An action names a deleted link with index 0.
            return None
        try:
            link = links.by_index(self._socket, ifindex)
        except NetlinkError as error:
            raise refused("asking for a link", error.errno, error) from error
        return link.name if link else None

    def add_clsact(self, ifindex: int) -> bool:
        """Add the clsact qdisc; return whether it was missing."""
        try:
            self._socket.request(
                RTM_NEWQDISC, clsact(ifindex), NLM_F_CREATE | NLM_F_EXCL
            )
        except NetlinkError as error:
            # A filter on the hook proves it fast; the qdiscs of a node are many.
            if error.errno == errno.EEXIST and (
                self.filters(ifindex) or self.has_clsact(ifindex)
            ):
                return False
            what = f"adding a clsact qdisc to interface {ifindex}"
            raise refused(what, error.errno, error) from error
        return True

    def has_clsact(self, ifindex: int) -> bool:
        """Return whether the clsact qdisc exists; a plain ingress qdisc does not count."""
        try:
            found = qdiscs.dump(self._socket, ifindex)
        except NetlinkError as error:
            what = f"looking for the clsact qdisc of interface {ifindex}"
            raise refused(what, error.errno, error) from error
        return "clsact" in map(qdiscs.kind_of, found)

    def remove_clsact_if_empty(self, ifindex: int) -> None:
        """Remove the clsact qdisc if no filter of anybody is left on either hook. Idempotent."""
        for hook in (TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK):
            if self.filters(ifindex, hook=hook):
                return
        # The kernel refuses where the qdisc is absent, or of another kind.
        try:
            self._socket.request(RTM_DELQDISC, clsact(ifindex))
        except NetlinkError as error:
            if error.errno not in GONE:
                what = f"removing the clsact qdisc of interface {ifindex}"
                raise refused(what, error.errno, error) from error

    def filters(
        self, ifindex: int, pref: int = 0, hook: int = TC_H_INGRESS_HOOK
    ) -> list[Filter]:
        """Return the filters of a hook, or of one pref; none if the link or its qdisc is gone."""
        try:
            bodies = self._socket.dump(
                RTM_GETTFILTER, on_hook(ifindex, hook, pref << 16)
            )
        except NetlinkError as error:
            if error.errno in {errno.ENODEV, errno.EINVAL}:
                return []
            what = f"listing filters of interface {ifindex}"
            raise refused(what, error.errno, error) from error
        return [_filter(body) for body in bodies]

    def send(self, what: str, messages: Sequence[Message]) -> None:
        """Send all messages in one write. Those before a refused one take effect, and those after it may: the
        caller must undo them.
        """
        for error in self._socket.batch(messages):
            if error:
                raise refused(what, error.errno, error) from error

    def try_each(self, what: str, messages: Sequence[Message]) -> None:
        """Send messages that remove things; what is gone already is no error."""
        for error in self._socket.batch(messages):
            if error and error.errno not in GONE:
                raise refused(what, error.errno, error) from error


def refused(what: str, number: int | None, error: Exception) -> SegctlError:
    """Return the error for what the kernel refused, by its errno."""
    tried = f"{what} in the enforcer namespace: {error}"
    if number == errno.ENODEV:
        return NotFoundError(tried, errno=number)
    if number == errno.EPERM:
        return NotPermittedError(tried, advice="run as root", errno=number)
    if number == errno.ENOENT:
        return NotCapableError(
            tried,
            advice="`segctl doctor` says which modules the kernel lacks",
            errno=number,
        )
    return SegctlError(tried, errno=number)


def _filter(body: bytes) -> Filter:
    info = TCMSG.unpack_from(body)[4]
    return Filter(info >> 16, text(attrs(body[TCMSG.size :]).get(TCA_KIND)), body)

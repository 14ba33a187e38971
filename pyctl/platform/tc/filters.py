"""Filters of any kind on clsact, in one network namespace.

In: interface indexes. Out: filters, each as the kernel wrote it, whatever its kind (`bpf.tc.programs` and
`fallback_tc.dump` read their own). I/O: rtnetlink, by the client that a subclass chooses: pyroute2's in `bpf.tc`,
the raw one in `tc.rule_sets`.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from abc import abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

from pyctl.errors import (
    NotCapableError,
    NotFoundError,
    NotPermittedError,
    SegctlError,
)
from pyctl.platform.netlink.links import Link
from pyctl.platform.netlink.raw import NetlinkError, attrs, text
from pyctl.platform.tc import qdiscs
from pyctl.platform.tc.messages import (
    TC_H_EGRESS_HOOK,
    TC_H_INGRESS_HOOK,
    TCA_CHAIN,
    TCA_KIND,
    TCMSG,
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

    Every method raises NotFoundError for a link that is not there, NotPermittedError without CAP_NET_ADMIN,
    NotCapableError for a kernel without the module, SegctlError for the rest.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the client. Idempotent."""

    @abstractmethod
    def _link(self, ifindex: int) -> Link | None: ...

    @abstractmethod
    def _add_clsact(self, ifindex: int) -> None: ...

    @abstractmethod
    def _remove_clsact(self, ifindex: int) -> None: ...

    @abstractmethod
    def _qdiscs(self) -> list[bytes]: ...

    @abstractmethod
    def _filters(self, ifindex: int, hook: int, info: int) -> list[bytes]: ...

    def name_of(self, ifindex: int) -> str | None:
        """Return the link's name; None if there is none. It asks for this link only: a node may have
        thousands.
        """
        if ifindex <= 0:
            # An action names a deleted link with index 0.
            return None
        with refusing("asking for a link"):
            link = self._link(ifindex)
        return link.name if link else None

    def add_clsact(self, ifindex: int) -> bool:
        """Add the clsact qdisc; return whether it was missing."""
        with refusing(f"adding a clsact qdisc to interface {ifindex}"):
            try:
                self._add_clsact(ifindex)
            except NetlinkError as error:
                # A filter on the hook proves it fast; the qdiscs of a node are many.
                there = error.errno == errno.EEXIST and (
                    self.filters(ifindex) or self.has_clsact(ifindex)
                )
                if not there:
                    raise
                return False
        return True

    def has_clsact(self, ifindex: int) -> bool:
        """Return whether the clsact qdisc exists; a plain ingress qdisc does not count."""
        with refusing(f"looking for the clsact qdisc of interface {ifindex}"):
            found = qdiscs.set_on(self._qdiscs(), ifindex)
        return "clsact" in map(qdiscs.kind_of, found)

    def remove_clsact_if_empty(self, ifindex: int) -> None:
        """Remove the clsact qdisc if no filter of anybody is left on either hook. Idempotent."""
        for hook in (TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK):
            if self.filters(ifindex, hook=hook):
                return
        # The kernel refuses where the qdisc is absent, or of another kind.
        with refusing(f"removing the clsact qdisc of interface {ifindex}", GONE):
            self._remove_clsact(ifindex)

    def filters(
        self, ifindex: int, pref: int = 0, hook: int = TC_H_INGRESS_HOOK
    ) -> list[Filter]:
        """Return the filters of a hook, or of one pref; none if the link or its qdisc is gone."""
        with refusing(
            f"listing filters of interface {ifindex}", {errno.ENODEV, errno.EINVAL}
        ):
            return [_filter(one) for one in self._filters(ifindex, hook, pref << 16)]
        return []


@contextlib.contextmanager
def refusing(what: str, but: Collection[int] = ()) -> Iterator[None]:
    """Turn what the kernel refuses in the block into an error of its kind; a refusal with an errno in `but` ends
    the block alone.
    """
    try:
        yield
    except NetlinkError as error:
        if error.errno not in but:
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

"""The queueing disciplines of one interface, as the kernel wrote them, so that they can be put back.

In: a socket in the interface's namespace, its index. Out: message bodies (struct tcmsg and its
attributes). I/O: rtnetlink. What the kernel makes by itself has handle 0 and is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from pyctl.platform.netlink.raw import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    RawNetlink,
    attr,
    attrs,
    text,
)
from pyctl.platform.tc.messages import (
    RTM_GETQDISC,
    RTM_GETTCLASS,
    RTM_GETTFILTER,
    RTM_NEWQDISC,
    RTM_NEWTCLASS,
    TC_H_EGRESS_HOOK,
    TC_H_INGRESS_HOOK,
    TCA_KIND,
    TCA_OPTIONS,
    TCMSG,
    on_hook,
    qdiscs_of,
)

_KEPT = (TCA_KIND, TCA_OPTIONS)
"""Other attributes of a qdisc are statistics."""
TCA_HTB_INIT = 2
HOOK_QDISCS = frozenset({"clsact", "ingress"})


def dump(nl: RawNetlink, index: int) -> tuple[bytes, ...]:
    """Return the qdiscs that somebody set on the interface."""
    return set_on(nl.dump(RTM_GETQDISC, qdiscs_of(index)), index)


def set_on(found: Iterable[bytes], index: int) -> tuple[bytes, ...]:
    """Return those of a namespace's qdiscs that somebody set on the interface: the kernel tells of all links,
    whichever is asked for.
    """
    # Index and handle; what the kernel made by itself has none.
    return tuple(
        body
        for body in found
        if TCMSG.unpack_from(body)[1] == index and TCMSG.unpack_from(body)[2]
    )


def dump_classes(nl: RawNetlink, index: int) -> tuple[bytes, ...]:
    """Return the classes of all qdiscs of the interface, parents first."""
    bodies = nl.dump(RTM_GETTCLASS, qdiscs_of(index))
    mine = [body for body in bodies if TCMSG.unpack_from(body)[1] == index]
    # A class of a classless qdisc is a bucket that the kernel makes by itself.
    own = [body for body in mine if TCA_OPTIONS in _attributes(body)]
    return tuple(_parents_first(own))


def kind_of(body: bytes) -> str:
    """Return the qdisc's kind, as in `tc qdisc`."""
    return text(_attributes(body).get(TCA_KIND))


def count_filters(nl: RawNetlink, index: int, qdiscs: Sequence[bytes]) -> int:
    """Return how many filters hang on these qdiscs of the interface."""
    places: list[int] = []
    for body in qdiscs:
        handle = TCMSG.unpack_from(body)[2]
        hooks = kind_of(body) in HOOK_QDISCS
        places += (TC_H_INGRESS_HOOK, TC_H_EGRESS_HOOK) if hooks else (handle,)
    return sum(
        len(nl.dump(RTM_GETTFILTER, on_hook(index, place))) for place in set(places)
    )


def restorable(nl: RawNetlink, index: int) -> tuple[bytes, ...]:
    """Return the qdiscs that can be restored: none with filters, and no tree if one in it has filters."""
    found = dump(nl, index)
    filtered = {one for one in found if count_filters(nl, index, (one,))}
    trees = any(kind_of(one) not in HOOK_QDISCS for one in filtered)
    return tuple(
        one
        for one in found
        if one not in filtered and (kind_of(one) in HOOK_QDISCS or not trees)
    )


def put_back(
    nl: RawNetlink, qdiscs: Sequence[bytes], classes: Sequence[bytes]
) -> list[str]:
    """Add the missing qdiscs and classes; return the kinds that the kernel refused, with its reason.

    A class follows its qdisc, and a qdisc the class that it is the leaf of, so several rounds are
    made, each with what is left, until one brings nothing.
    """
    left = [(RTM_NEWQDISC, body) for body in qdiscs]
    left += [(RTM_NEWTCLASS, body) for body in classes]
    index = TCMSG.unpack_from(left[0][1])[1] if left else 0
    there = {_identity(body) for body in (*dump(nl, index), *dump_classes(nl, index))}
    left = [(kind, body) for kind, body in left if _identity(body) not in there]
    reasons: list[str] = []
    while left:
        answers = nl.batch(
            Message(kind, _settable(body), NLM_F_CREATE | NLM_F_EXCL)
            for kind, body in left
        )
        refused = [
            (one, why)
            for one, why in zip(left, answers, strict=True)
            if why is not None
        ]
        reasons = [f"{kind_of(body)}: {why}" for (_, body), why in refused]
        if len(refused) == len(left):
            break
        left = [one for one, _ in refused]
    return reasons if left else []


def _attributes(body: bytes) -> dict[int, bytes]:
    return attrs(body[TCMSG.size :])


def _identity(body: bytes) -> tuple[int, str]:
    return TCMSG.unpack_from(body)[2], kind_of(body)


def _settable(body: bytes) -> bytes:
    family, index, handle, parent, _info = TCMSG.unpack_from(body)
    found = _attributes(body)
    if kind_of(body) == "htb" and TCA_OPTIONS in found:
        found[TCA_OPTIONS] = _htb_settable(found[TCA_OPTIONS])
    kept = (attr(kind, found[kind]) for kind in _KEPT if kind in found)
    return TCMSG.pack(family, index, handle, parent, 0) + b"".join(kept)


def _htb_settable(options: bytes) -> bytes:
    """Return htb options with version 3, the only one that the kernel takes; it shows 0x30011."""
    found = attrs(options)
    if TCA_HTB_INIT in found:
        init = found[TCA_HTB_INIT]
        (version,) = struct.unpack_from("=I", init)
        found[TCA_HTB_INIT] = struct.pack("=I", version >> 16) + init[4:]
    return b"".join(attr(kind, found[kind]) for kind in found)


def _parents_first(classes: list[bytes]) -> list[bytes]:
    parents = {
        TCMSG.unpack_from(body)[2]: TCMSG.unpack_from(body)[3] for body in classes
    }

    def depth(body: bytes) -> int:
        at, steps = TCMSG.unpack_from(body)[3], 0
        while at in parents and steps < len(parents):
            at, steps = parents[at], steps + 1
        return steps

    return sorted(classes, key=depth)

"""A kernel made of lists: the u32 filters and qdiscs that RuleSets asks for."""

from __future__ import annotations

from fallback_tc import dump
from fallback_tc.netlink import NLM_F_REPLACE, RTM_NEWTFILTER, TCA_KIND, TCMSG
from fallback_tc.rules import Held
from pyctl.datapath.u32.plan import VBR
from pyctl.errors import SegctlError
from pyctl.platform.netlink.raw import attr_text
from pyctl.platform.tc.filters import Filter

KIND = attr_text(TCA_KIND, "u32")
NAMES = {5: "vex", 6: "vin", 7: "vex2", 8: "vin2", VBR: "vbr-neuv"}


class Kernel:
    """What RuleSets asks of a kernel, and a look at it after each message."""

    def __init__(self) -> None:
        self.rules: list[tuple[int, Filter]] = []
        self.clsact: set[int] = set()
        self.look = lambda: None
        self._refuse_after = 1 << 30
        self._handle = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def refuse_after(self, messages):
        """Refuse the one after so many messages; what takes them back is not refused."""
        self._refuse_after = messages

    def name_of(self, ifindex):
        return NAMES.get(ifindex)

    def add_clsact(self, ifindex):
        new = ifindex not in self.clsact
        self.clsact.add(ifindex)
        return new

    def remove_clsact_if_empty(self, ifindex):
        if not self.filters(ifindex):
            self.clsact.discard(ifindex)

    def filters(self, ifindex, pref=0):
        found = [one for at, one in self.rules if at == ifindex]
        return [one for one in found if pref in (0, one.pref)]

    def send(self, what, messages):
        for message in messages:
            self._refuse_after -= 1
            if self._refuse_after < 0:
                self._refuse_after = 1 << 30
                raise SegctlError(what)
            self._take(message)
            self.look()

    try_each = send

    def _take(self, message) -> None:
        family, ifindex, handle, parent, info = (
            0,
            *TCMSG.unpack_from(message.body)[1:],
        )
        rest, pref = message.body[TCMSG.size :], info >> 16
        if message.kind != RTM_NEWTFILTER:
            left = [
                (at, one)
                for at, one in self.rules
                if (at, one.pref) != (ifindex, pref)
                or handle not in (0, TCMSG.unpack_from(one.body)[2])
            ]
            if handle and not any(
                (at, one.pref) == (ifindex, pref) for at, one in left
            ):
                # As u32 does while other classifiers of the hook share its tables.
                empty = TCMSG.pack(family, ifindex, 0, parent, info) + KIND
                left.append((ifindex, Filter(pref, "u32", empty)))
            self.rules = left
            return
        if not message.flags & NLM_F_REPLACE:
            protocols = {
                TCMSG.unpack_from(one.body)[4] & 0xFFFF
                for at, one in self.rules
                if (at, one.pref) == (ifindex, pref)
            }
            assert protocols <= {info & 0xFFFF}, "the pref is another protocol's"
            self._handle += 1
            handle = 0x80000800 + self._handle
        body = TCMSG.pack(family, ifindex, handle, parent, info) + rest
        new = (ifindex, Filter(pref, "u32", body))
        for at, (index, one) in enumerate(self.rules):
            if index == ifindex and TCMSG.unpack_from(one.body)[2] == handle:
                self.rules[at] = new
                return
        self.rules.append(new)

    def held(self, ifindex) -> list[Held]:
        bodies = [one.body for one in self.filters(ifindex) if one.kind == "u32"]
        return dump.held(bodies, NAMES.__getitem__)

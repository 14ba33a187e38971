"""A port's VLANs: ranges as the kernel writes them, and what has to be asked for so that they are there again."""

from __future__ import annotations

import struct

from pyctl.platform.bridge import vlans
from pyctl.platform.netlink.raw import (
    Message,
    NetlinkError,
    attr,
    attr_u32,
    attrs,
    nest,
)

PVID_UNTAGGED = 2 | 4
STATE = 3


def entry(
    first: int, last: int = 0, flags: int = 0, tunnel: int = 0, state: int = 3
) -> bytes:
    """As a dump has it."""
    raw = attr(vlans.BRIDGE_VLANDB_ENTRY_INFO, struct.pack("=HH", flags, first))
    if last:
        raw += attr(vlans.BRIDGE_VLANDB_ENTRY_RANGE, struct.pack("=H", last))
    if tunnel:
        number = attr_u32(vlans.BRIDGE_VLANDB_TINFO_ID, tunnel)
        raw += nest(vlans.BRIDGE_VLANDB_ENTRY_TUNNEL_INFO, number)
    return raw + attr(STATE, bytes([state]))


class Kernel:
    """Port 7, which has VLAN 1 when it comes to its bridge, as any port."""

    def __init__(self) -> None:
        self.entries = [entry(1, flags=PVID_UNTAGGED)]
        self.sent: list[Message] = []

    def dump(self, _kind: int, _body: bytes) -> list[bytes]:
        head = struct.pack("=BxxxI", vlans.AF_BRIDGE, 7)
        made = [nest(vlans.BRIDGE_VLANDB_ENTRY, one) for one in self.entries]
        return [head + b"".join(made)]

    def batch(self, messages: object) -> list[NetlinkError | None]:
        asked = list(messages)  # type: ignore[call-overload]
        self.sent += asked
        for one in asked:
            (told,) = attrs(one.body[8:]).values()
            (vid, _vlan), *_ = vlans.expand([told]).items()
            if one.kind == vlans.RTM_DELVLAN:
                self.entries = [e for e in self.entries if vid not in vlans.expand([e])]
            elif len(attrs(told)) <= 2:
                self.entries.append(told + attr(STATE, b"\3"))
        return [None for _ in asked]


def test_a_range_s_tunnels_count_up_with_it() -> None:
    found = vlans.expand([entry(20, 22, tunnel=1020)])
    numbers = [
        attrs(one.options[vlans.BRIDGE_VLANDB_ENTRY_TUNNEL_INFO])[1]
        for one in found.values()
    ]
    assert list(found) == [20, 21, 22]
    assert numbers == [struct.pack("=I", n) for n in (1020, 1021, 1022)]


def test_what_a_new_port_gets_goes_and_what_it_had_comes() -> None:
    kernel = Kernel()
    wanted = [entry(10, flags=PVID_UNTAGGED), entry(20, 29, state=4)]
    assert vlans.put_back(kernel, 7, wanted) == []
    assert sorted(vlans.expand(kernel.entries)) == [10, *range(20, 30)]
    deleted, *added = kernel.sent
    assert deleted.kind == vlans.RTM_DELVLAN
    # Two entries, and then the state of each of the range, which no entry is made with.
    assert len(added) == 2 + 10


def test_what_is_there_is_not_asked_for() -> None:
    kernel = Kernel()
    assert vlans.put_back(kernel, 7, [entry(1, flags=PVID_UNTAGGED)]) == []
    assert kernel.sent == []


def test_each_vlan_that_differs_is_named() -> None:
    before, after = [entry(10), entry(20, 21)], [entry(10), entry(20, flags=4)]
    assert vlans.changes(before, before) == []
    told = vlans.changes(before, after)
    assert [line.split()[1] for line in told] == ["20", "21"]

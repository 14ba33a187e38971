"""MACs at an interface: whose they are, and which a bridge has back."""

from __future__ import annotations

import struct
from dataclasses import replace

from pyctl.platform.bridge import fdb
from pyctl.platform.netlink.links import mac_bytes
from pyctl.platform.netlink.raw import Message, attr, attr_u32
from tests import packets
from tests.unit.intercept.conftest import ETH0

OTHER = packets.stranger_mac


def entry(
    mac: str, state: int, flags: int = 0, master: int = 3, index: int = 2
) -> bytes:
    """As a dump has it; without a master it is the interface's own."""
    head = struct.pack("=BxxxiHBB", fdb.AF_BRIDGE, index, state, flags, 0)
    whose = attr_u32(fdb.NDA_MASTER, master) if master else b""
    return head + attr(fdb.NDA_LLADDR, mac_bytes(mac)) + whose


class Kernel:
    """What has these entries, whatever is asked for."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = bodies
        self.sent: list[Message] = []

    def dump(self, _kind: int, _body: bytes) -> tuple[bytes, ...]:
        return self.bodies

    def batch(self, messages: object) -> list[None]:
        self.sent = list(messages)  # type: ignore[call-overload]
        return [None for _ in self.sent]


SELF = entry(OTHER, fdb.NUD_PERMANENT, fdb.NTF_SELF, master=0)


def test_a_mac_that_its_bridge_lays_on_it_is_nobody_else_s() -> None:
    at_another_port = entry(OTHER, fdb.NUD_PERMANENT, index=9)
    port = replace(ETH0, master=3)
    assert fdb.other_macs(Kernel(SELF), port) == (OTHER,)
    assert fdb.other_macs(Kernel(SELF, at_another_port), port) == ()
    assert fdb.other_macs(Kernel(SELF, at_another_port), ETH0) == (OTHER,)


def test_what_is_learned_again_is_not_kept() -> None:
    static, learned = entry(OTHER, fdb.NUD_NOARP), entry(OTHER, fdb.NUD_REACHABLE)
    kernel = Kernel(static, learned, SELF)
    assert fdb.stations(kernel, 2, learns=True) == (static,)
    assert fdb.stations(kernel, 2, learns=False) == (static, learned)


def test_an_entry_is_asked_for_once_in_its_bridge_s_table() -> None:
    sticky = entry(OTHER, fdb.NUD_NOARP, fdb.NTF_STICKY | 0x20)
    kernel = Kernel()
    assert fdb.put_back(kernel, 2, [sticky]) == []
    (message,) = kernel.sent
    _index, state, flags = struct.unpack_from("=iHB", message.body, 4)
    assert (state, flags) == (fdb.NUD_NOARP, fdb.NTF_STICKY | fdb.NTF_MASTER)
    there = Kernel(sticky)
    fdb.put_back(there, 2, [sticky])
    assert there.sent == []


def test_what_ages_is_no_loss() -> None:
    static, learned = entry(OTHER, fdb.NUD_NOARP), entry(OTHER, fdb.NUD_REACHABLE)
    assert fdb.lost([static, learned], [static]) == []
    (told,) = fdb.lost([static, learned], [])
    assert OTHER in told

"""What a bridge keeps of a port: what is read, asked for again, and told where it is not as it was."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from pyctl.platform.bridge import fdb, mdb
from pyctl.platform.bridge import port as bridge_port
from pyctl.platform.bridge import vlans as bridge_vlans
from pyctl.platform.bridge.spanning_tree import IFLA_BR_STP_STATE, IFLA_BRPORT_STATE
from pyctl.platform.netlink.links import (
    IFF_RUNNING,
    IFF_UP,
    IFLA_AF_SPEC,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    RTM_GETLINK,
    ifinfo,
)
from pyctl.platform.netlink.raw import (
    Message,
    attr,
    attr_text,
    attr_u32,
    attrs,
    nest,
)
from tests.unit.platform.bridge.test_mdb import info

BR_USER_STP = 2

ISOLATED, LISTENING, FORWARDING = 33, b"\1", b"\3"


class Kernel:
    """A bridge 3 with the ports 7, whose settings are given, and 8, which falls back to it."""

    def __init__(
        self, *settings: tuple[int, bytes], stp: int = 0, up: int = IFF_UP
    ) -> None:
        data = attr_u32(IFLA_BR_STP_STATE, stp)
        whole = attr_text(IFLA_INFO_KIND, "bridge") + nest(IFLA_INFO_DATA, data)
        self.links = [ifinfo(3, up) + nest(IFLA_LINKINFO, whole)]
        backup = (bridge_port.IFLA_BRPORT_BACKUP_PORT, struct.pack("=I", 7))
        for index, own in ((7, settings), (8, (backup,))):
            port = nest(
                bridge_port.IFLA_INFO_SLAVE_DATA,
                *(attr(kind, raw) for kind, raw in own),
            )
            body = ifinfo(index, IFF_UP | IFF_RUNNING) + attr_u32(IFLA_MASTER, 3)
            self.links.append(body + nest(IFLA_LINKINFO, port))
        self.groups: list[bytes] = []
        self.rings = b""
        self.sent: list[Message] = []

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        if kind == mdb.RTM_GETMDB:
            made = [nest(1, attr(1, one)) for one in self.groups]
            return [struct.pack("=BxxxI", 7, 3) + nest(mdb.MDBA_MDB, *made)]
        if kind in (bridge_vlans.RTM_GETVLAN, fdb.RTM_GETNEIGH):
            return []
        assert kind == RTM_GETLINK
        if body[0] == bridge_port.AF_BRIDGE:
            return [ifinfo(3) + nest(IFLA_AF_SPEC, self.rings)]
        return self.links

    def get(self, _kind: int, body: bytes) -> bytes:
        return {3: self.links[0], 7: self.links[1], 8: self.links[2]}[body[4]]

    def batch(self, messages: object) -> list[None]:
        asked = list(messages)  # type: ignore[call-overload]
        self.sent += asked
        return [None for _ in asked]


def port(kernel: Kernel) -> bridge_port.BridgePort:
    found = bridge_port.read(kernel, 7)
    assert found is not None
    return found


def test_what_can_be_set_is_kept_and_what_the_kernel_counts_is_not() -> None:
    counted = (38, bytes(4))
    found = port(Kernel((ISOLATED, b"\1"), counted))
    assert found.settings == ((ISOLATED, b"\1"),)
    assert (found.bridge, found.backs) == (3, (8,))
    assert bridge_port.read(Kernel(), 3) is None


@pytest.mark.parametrize(
    ("state", "stp", "up", "kept"),
    [
        (FORWARDING, 0, IFF_UP, False),
        (LISTENING, 0, IFF_UP, True),
        (LISTENING, 0, 0, False),
        (LISTENING, bridge_port.BR_KERNEL_STP, IFF_UP, False),
        (FORWARDING, BR_USER_STP, IFF_UP, True),
    ],
)
def test_a_state_is_kept_where_the_kernel_does_not_come_to_it(
    state: bytes, stp: int, up: int, kept: bool
) -> None:
    found = port(Kernel((IFLA_BRPORT_STATE, state), stp=stp, up=up))
    assert bool(found.settings) == kept


def test_what_differs_alone_is_asked_for_and_the_state_last() -> None:
    wanted = replace(
        port(Kernel()),
        settings=((IFLA_BRPORT_STATE, LISTENING), (4, b"\1"), (ISOLATED, b"\1")),
    )
    kernel = Kernel((4, b"\1"))
    assert bridge_port.put_back(kernel, 7, wanted) == []
    (message,) = kernel.sent
    asked = attrs(attrs(message.body[16:])[bridge_port.IFLA_PROTINFO])
    assert asked == {ISOLATED: b"\1"}
    assert bridge_port.put_back_running(kernel, 7, wanted) == []
    asked = attrs(attrs(kernel.sent[-1].body[16:])[bridge_port.IFLA_PROTINFO])
    assert asked == {IFLA_BRPORT_STATE: LISTENING}


def test_each_setting_that_differs_is_named() -> None:
    before, after = port(Kernel((ISOLATED, b"\1"))), port(Kernel((ISOLATED, b"\0")))
    assert bridge_port.differences(before, before) == []
    assert bridge_port.differences(before, after) == [
        "isolated at its bridge: 1 is now 0"
    ]
    assert len(bridge_port.differences(before, None)) == 1
    grouped = replace(before, groups=(info(), info(state=0)), backs=())
    lost = bridge_port.differences(grouped, replace(grouped, groups=()))
    assert lost == ["1 multicast groups lost at its bridge"]


def test_what_nobody_can_put_back_is_named_before() -> None:
    kernel = Kernel(up=0)
    assert bridge_port.cannot_come_back(kernel, 7) == ()
    kernel.groups = [info()]
    assert "multicast groups" in bridge_port.cannot_come_back(kernel, 7)[0]
    kernel = Kernel()
    kernel.rings = attr(4, b"ring")
    assert bridge_port.cannot_come_back(kernel, 7) == ("a part in its bridge's MRP",)

"""How long a bridge's port is silent, from what the kernel shows of bridge and port."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.platform.bridge import spanning_tree as bridge
from pyctl.platform.netlink.links import (
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    ifinfo,
)
from pyctl.platform.netlink.raw import attr, attr_text, attr_u32, nest
from tests.unit.intercept.conftest import ETH0

PORT = replace(ETH0, index=7, master=3)


class Kernel:
    """A bridge 3 with one port 7."""

    def __init__(self, stp: int, state: int, kind: str = "bridge") -> None:
        data = attr_u32(bridge.IFLA_BR_FORWARD_DELAY, 400)
        data += attr_u32(bridge.IFLA_BR_STP_STATE, stp)
        whole = attr_text(IFLA_INFO_KIND, kind) + nest(IFLA_INFO_DATA, data)
        own = attr(bridge.IFLA_BRPORT_STATE, bytes([state]))
        self.infos = {3: whole, 7: nest(bridge.IFLA_INFO_SLAVE_DATA, own)}

    def get(self, _kind: int, body: bytes) -> bytes:
        index = int.from_bytes(body[4:8], "little")
        return ifinfo(index) + nest(IFLA_LINKINFO, self.infos[index])


@pytest.mark.parametrize(
    ("kernel", "seconds"),
    [
        (Kernel(stp=1, state=bridge.BR_STATE_FORWARDING), 8.0),
        (Kernel(stp=0, state=bridge.BR_STATE_FORWARDING), 0.0),
        (Kernel(stp=1, state=1), 0.0),
        (Kernel(stp=1, state=bridge.BR_STATE_FORWARDING, kind="bond"), 0.0),
    ],
)
def test_only_a_forwarding_port_of_a_spanning_tree_has_something_to_lose(
    kernel: Kernel, seconds: float
) -> None:
    assert bridge.forward_delay(kernel, PORT) == seconds
    assert bridge.forward_delay(kernel, replace(PORT, master=0)) == 0.0

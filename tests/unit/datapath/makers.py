"""A port for tests of the drivers, to be changed."""

from __future__ import annotations

from pyctl.model.workload import Fail, Mode, PortPair
from tests import packets

PAIR = PortPair(
    port_id=300,
    vex_ifindex=5,
    vin_ifindex=6,
    mac=packets.pod_one_mac,
    host_mac=None,
    kind="veth",
    mode=Mode.PROTECT,
    fail=Fail.CLOSED,
    pass_other=False,
    any_source=False,
    addresses=(f"{packets.pod_one_ip4}/{packets.prefix_ip4}",),
)

"""Workloads for policy tests: attached on paper only."""

from __future__ import annotations

from pyctl.model.workload import Capabilities, Mode, Port, ProcessRef, Workload
from tests import packets


def port(port_id: int, *addresses: str) -> Port:
    return Port(
        port_id=port_id,
        interface="eth0",
        kind="veth",
        vex=f"vex{port_id:x}-eth0",
        vin=f"vin{port_id:x}-eth0",
        vex_ifindex=100 + port_id,
        vin_ifindex=200 + port_id,
        mac=packets.mac(port_id),
        host_mac=None,
        mtu=1500,
        addresses=addresses,
    )


def workload(
    name: str,
    *ports: Port,
    labels: dict[str, str] | None = None,
    image: str | None = None,
    runtime: str = "process",
    attach_mode: Mode = Mode.PROTECT,
    forced_mode: Mode | None = None,
) -> Workload:
    return Workload(
        id=name,
        name=name,
        process=ProcessRef(4242, 1, (4, 4026531840)),
        labels=labels or {},
        image=image,
        runtime=runtime,
        capabilities=Capabilities(source_check=True),
        attach_mode=attach_mode,
        forced_mode=forced_mode,
        ports=ports,
    )

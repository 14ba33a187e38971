"""Records for tests of history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyctl.telemetry.history.values import FlowRecord
from tests import packets

FLOW = FlowRecord(
    started=1000.0,
    last=1010.0,
    workload="web",
    port_id=7,
    direction="ingress",
    protocol="tcp",
    source=packets.pod_two_ip4,
    sport=40000,
    destination=packets.pod_one_ip4,
    dport=80,
    source_name="client",
    destination_name="web",
    packets=3,
    bytes=300,
    back_packets=2,
    back_bytes=200,
    kernel_packets=4,
    kernel_bytes=400,
    verdict="allow",
    rule_id=1,
    reason=None,
)


def flow(**changes: Any) -> FlowRecord:
    return replace(FLOW, **changes)


def denied(**changes: Any) -> FlowRecord:
    return flow(verdict="deny", reason="default_deny", rule_id=None, **changes)

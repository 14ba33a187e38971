"""The policy that is looked up knows what the workloads' addresses and labels say."""

from __future__ import annotations

from ipaddress import ip_network

from pyctl.policy.compile.effective import effective
from pyctl.policy.document.parse import parse
from tests import packets
from tests.unit.policy.makers import port, workload

POLICY = parse("""
apiVersion: segctl/v1
rules:
  - {id: 1, from: any, to: any, ports: [tcp/http], action: allow}
  - {id: 2, from: any, to: broadcast, action: allow}
""")


def test_it_has_the_numbers_and_the_subnets():
    own = port(1, f"{packets.pod_one_ip4}/24")
    found = effective(POLICY, [workload("web", own, labels={"segctl.port.http": "80"})])
    assert [(rule.id, rule.ports[0].low) for rule in found.rules] == [
        (1, 0),
        (1, 80),
        (2, 0),
    ]
    subnet = ip_network(f"{packets.subnet_broadcast_ip4}/32")
    assert subnet in found.groups["broadcast"].cidrs
    assert effective(POLICY, []).rules == POLICY.rules

"""Ports in our words, and what a Service's port leads to."""

from __future__ import annotations

import pytest

from pyctl.policy.kubernetes.policies import NamedPort, PortRange, Service
from pyctl.policy.kubernetes.ports import behind, text
from tests.unit.policy.makers import workload


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (PortRange("udp"), "udp/any"),
        (PortRange("tcp", 80, 80), "tcp/80"),
        (PortRange("tcp", 80, 90), "tcp/80-90"),
        (NamedPort("sctp", "web", "p"), "sctp/web"),
    ],
)
def test_a_port_as_a_rule_says_it(port, said):
    assert text(port) == said


def test_the_pods_behind_a_service_declare_their_ports():
    values = ["8080", "53/udp", "web"]
    workloads = [
        workload(f"w{n}", labels={"segctl.port.web": value, "app": "a"})
        for n, value in enumerate(values)
    ]
    workloads.append(workload("other", labels={"segctl.port.web": "1"}))
    service = Service("default", "s", (("app", "a"),), (), ())
    found = behind(service, workloads)
    assert found == ({("tcp", "web"): 8080}, {("udp", "web"): 53}, {})

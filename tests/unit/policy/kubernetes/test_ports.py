"""Ports in our words; named ones by what workloads declare."""

from __future__ import annotations

import pytest

from pyctl.policy.kubernetes.peers import EVERYBODY
from pyctl.policy.kubernetes.policies import NamedPort, PortRange
from pyctl.policy.kubernetes.ports import declared, text
from tests.unit.policy.makers import workload


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (PortRange("udp"), "udp/any"),
        (PortRange("tcp", 80, 80), "tcp/80"),
        (PortRange("tcp", 80, 90), "tcp/80-90"),
    ],
)
def test_a_port_as_a_rule_says_it(port, said):
    assert text(port) == said


def test_a_name_means_what_each_workload_declares_for_the_protocol():
    values = ["8080", "80/tcp", "53/udp", "7/sctp", "0", "65536", "web", ""]
    workloads = [
        workload(f"w{n}", labels={"segctl.port.web": value})
        for n, value in enumerate(values)
    ]
    tcp, udp = (NamedPort(proto, "web", "p") for proto in ("tcp", "udp"))
    assert declared(tcp, EVERYBODY, workloads) == {
        "80/tcp": "tcp/80",
        "8080": "tcp/8080",
    }
    assert declared(udp, EVERYBODY, workloads) == {"53/udp": "udp/53"}
    assert declared(NamedPort("tcp", "x", "p"), EVERYBODY, workloads) == {}

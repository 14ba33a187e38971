"""What a rule allows of pods it allows by way of their Service, port by port."""

from __future__ import annotations

import json

import pytest

from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.kubernetes.translate import read_all, translate
from tests import packets
from tests.unit.policy.makers import workload

TO_DB = {"podSelector": {"matchLabels": {"app": "db"}}}
OTHER = {"namespaceSelector": {"matchLabels": {"env": "live"}}}
VIP = packets.world_ip4


def service(**spec: object) -> dict[str, object]:
    spec = {
        "clusterIP": VIP,
        "selector": {"app": "db", "tier": "back"},
        "ports": [{"port": 80, "targetPort": 8080}, {"port": 90, "targetPort": "pg"}],
    } | spec
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db", "resourceVersion": "1"},
        "spec": spec,
    }


def opened(rule: dict[str, object], *others: dict[str, object]) -> set[str]:
    """By the address of a Service."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {"policyTypes": ["Egress"], "egress": [rule]},
    }
    notes = ErrorCollector()
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, *others]})
    labels = {"app": "db", "tier": "back", "segctl.port.pg": "5432"}
    labels |= {"segctl.port.app": "8080", "segctl.port.other": "8081"}
    found = translate(
        notes, read_all(notes, {"f": text}), workloads=[workload("db", labels=labels)]
    )
    groups = found.document["groups"]
    return {
        port
        for rule in found.document["rules"]
        if groups.get(rule["to"]) == {"cidrs": [f"{VIP}/32"]}
        for port in rule["ports"]
    }


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        ({"to": [TO_DB]}, {"tcp/80", "tcp/90"}),
        ({"to": [TO_DB], "ports": [{"port": 8080}]}, {"tcp/80"}),
        ({"to": [TO_DB], "ports": [{"port": 80}]}, set()),
        ({"to": [TO_DB], "ports": [{"port": 5000, "endPort": 6000}]}, {"tcp/90"}),
        ({"to": [TO_DB], "ports": [{"port": "pg"}]}, {"tcp/90"}),
        ({"to": [TO_DB], "ports": [{"port": "app"}]}, {"tcp/80"}),
        ({"to": [TO_DB], "ports": [{"port": "other"}]}, set()),
        ({"to": [TO_DB], "ports": [{"protocol": "UDP", "port": 8080}]}, set()),
        ({"ports": [{"port": 8080}]}, {"tcp/80"}),
        ({"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}, set()),
        ({"to": [{"podSelector": {"matchLabels": {"app": "db", "x": "y"}}}]}, set()),
        ({"to": [OTHER | TO_DB]}, set()),
        ({"to": [{"ipBlock": {"cidr": packets.net_ip4}}]}, set()),
    ],
)
def test_a_service_is_open_where_all_behind_it_is(rule, ports):
    assert opened(rule, service()) == ports


def test_its_namespace_is_one_that_the_peer_takes():
    live = {"apiVersion": "v1", "kind": "Namespace"}
    live |= {"metadata": {"name": "default", "labels": {"env": "live"}}}
    assert opened({"to": [OTHER | TO_DB]}, service(), live) == {"tcp/80", "tcp/90"}


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"selector": None}])
def test_one_without_address_or_pods_opens_nothing(spec):
    assert opened({"to": [TO_DB]}, service(**spec)) == set()


def test_without_services_the_rules_are_named_that_need_them():
    notes = ErrorCollector()
    policy = (
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p},"
        " spec: {policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}}"
    )
    (warning,) = translate(notes, read_all(notes, {"f": policy})).warnings
    assert "ClusterIP" in warning
    assert warning.endswith("default/p egress[0]")

"""Namespaces and Services are read as far as they bear on NetworkPolicies."""

from __future__ import annotations

import pytest

from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.kubernetes.policies import ServicePort
from pyctl.policy.kubernetes.read_cluster import namespace, service
from tests import packets

ABOUT = {"name": "db", "namespace": "shop", "uid": "1"}


def test_a_namespace_has_a_name_and_labels():
    notes = ErrorCollector()
    told = {"metadata": {"name": "lab", "labels": {"a": "b", "c": ""}}, "status": {}}
    assert namespace(notes, "f", told) == ("lab", {"a": "b", "c": ""})
    assert namespace(notes, "f", {"metadata": {"name": "lab"}}) == ("lab", {})
    assert not notes.errors


def test_a_service_leads_to_pods():
    notes = ErrorCollector()
    spec = {
        "clusterIP": packets.world_ip4,
        "clusterIPs": [packets.world_ip4, packets.pod_one_ip6],
        "selector": {"app": "db"},
        "ports": [
            {"port": 80, "targetPort": "http"},
            {"port": 53, "protocol": "UDP"},
            {"port": 9, "protocol": "SCTP"},
        ],
        "type": "ClusterIP",
    }
    found = service(notes, "f", {"metadata": ABOUT, "spec": spec})
    assert (found.namespace, found.name, found.pods) == (
        "shop",
        "db",
        (("app", "db"),),
    )
    assert [str(net.network_address) for net in found.addresses] == [
        packets.world_ip4,
        packets.pod_one_ip6,
    ]
    assert found.ports == (
        ServicePort("tcp", 80, "http"),
        ServicePort("udp", 53, 53),
        ServicePort("sctp", 9, 9),
    )
    assert not notes.errors


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"clusterIP": "there"}, "f.spec.clusterIP: 'there' is no address"),
        ({"ports": [{"port": 0}]}, "f.spec.ports[0].port: must be a number"),
        ({"ports": {}}, "f.spec.ports: must be a list"),
        ({"selector": {"a": 1}}, "f.spec.selector.a: must be a string"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(spec, error):
    notes = ErrorCollector()
    assert service(notes, "f", {"metadata": ABOUT, "spec": spec}) is None
    assert notes.errors[0].startswith(error)

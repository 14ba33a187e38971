"""Reading a NetworkPolicy: defaults, absent against empty, and the path of all that is wrong."""

from __future__ import annotations

import pytest

from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.kubernetes.policies import LabelSelector, NamedPort, Pods, PortRange
from pyctl.policy.kubernetes.read import label_selector, policy
from tests import packets


def read(given, /, **more):
    notes = ErrorCollector()
    body = {"metadata": {"name": "p", "labels": {"any": 1}}, "spec": given, **more}
    return policy(notes, "f", body), notes


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, (), None),
        ({"ingress": None, "egress": None, "policyTypes": None}, (), None),
        ({"egress": []}, (), None),
        ({"egress": [{}]}, (), 1),
        ({"policyTypes": ["Egress"]}, None, ()),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, None, ()),
        ({"policyTypes": ["Ingress", "Egress"], "ingress": [{}, {}]}, 2, ()),
    ],
)
def test_which_directions_it_concerns(spec, ingress, egress):
    found, _ = read(spec)
    for rules, meant in ((found.ingress, ingress), (found.egress, egress)):
        assert rules == meant or len(rules) == meant


def test_rules_of_a_direction_that_it_does_not_concern_are_warned_of():
    _, notes = read({"policyTypes": ["Egress"], "ingress": [{}]})
    assert notes.warnings == ("f.spec.ingress: policyTypes has no Ingress: no effect",)


def test_absent_and_empty_are_told_apart_where_they_differ():
    everybody, nobody_else = (
        read({"ingress": [rule]})[0].ingress[0]
        for rule in (
            {"from": [], "ports": None},
            {"from": [{"podSelector": {}}], "ports": [{}]},
        )
    )
    assert (everybody.peers, everybody.ports) == (None, None)
    assert nobody_else.peers == (Pods(LabelSelector(), None),)
    assert nobody_else.ports == (PortRange("tcp"),)


def test_ports():
    ports = [
        {"port": 80},
        {"protocol": "UDP", "port": 5, "endPort": 7},
        {"port": "web-1"},
    ]
    assert read({"egress": [{"ports": ports}]})[0].egress[0].ports == (
        PortRange("tcp", 80, 80),
        PortRange("udp", 5, 7),
        NamedPort("tcp", "web-1", "f.spec.egress[0].ports[2].port"),
    )


PORT, PEER = "f.spec.ingress[0].ports[0]", "f.spec.ingress[0].from[0]"
inner, outer = packets.net_ip4, packets.world_net_ip4


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"podSelector": {"matchNames": {}}}, "f.spec.podSelector.matchNames: unknown"),
        ({"policyTypes": ["ingress"]}, "f.spec.policyTypes[0]: must be Ingress or"),
        ({"ingress": {}}, "f.spec.ingress: must be a list"),
        ({"ingress": [None]}, "f.spec.ingress[0]: is null"),
        ({"ingress": [{"to": []}]}, "f.spec.ingress[0].to: unknown key"),
        ({"serviceSelector": {}}, "f.spec.serviceSelector: unknown key"),
        *(
            ({"ingress": [{"ports": [port]}]}, f"{PORT}{error}")
            for port, error in [
                ({"protocol": "tcp"}, ".protocol: must be TCP, UDP or SCTP"),
                ({"protocol": []}, ".protocol: must be TCP, UDP or SCTP"),
                ({"port": 0}, ".port: must be a number"),
                ({"port": True}, ".port: must be a number"),
                ({"port": "80"}, ".port: '80' is no name of a port; write a number"),
                ({"port": "Web"}, ".port: 'Web' is no name"),
                ({"port": 80, "endPort": 79}, ".endPort: 79 is smaller"),
                ({"endPort": 79}, ".endPort: needs a port"),
                ({"port": "web", "endPort": 79}, ".endPort: needs a port"),
                ({"port": 80, "endPort": "90"}, ".endPort: must be a number"),
            ]
        ),
        *(
            ({"ingress": [{"from": [peer]}]}, f"{PEER}{error}")
            for peer, error in [
                ({}, ": must have one of podSelector"),
                ({"podSelector": None}, ": must have one of podSelector"),
                ("web", ": must be a mapping"),
                ({"ipBlock": {"cidr": inner}, "podSelector": {}}, ": ipBlock stands"),
                ({"ipBlock": {}}, ".ipBlock.cidr: None is no CIDR"),
                ({"ipBlock": {"cidr": packets.pod_one_ip4}}, ".ipBlock.cidr: "),
                (
                    {"ipBlock": {"cidr": inner, "except": [outer]}},
                    f".ipBlock.except[0]: {outer} is no part of {inner}",
                ),
                (
                    {"ipBlock": {"cidr": inner, "except": [inner]}},
                    f".ipBlock.except[0]: {inner} is no part",
                ),
                (
                    {"namespaceSelector": {"matchLabels": {"a": 1}}},
                    ".namespaceSelector.matchLabels.a: must be a string",
                ),
                (
                    {
                        "podSelector": {
                            "matchExpressions": [{"key": "a", "operator": "In"}]
                        }
                    },
                    ".podSelector.matchExpressions[0].values: must be a list",
                ),
            ]
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_path(spec, error):
    found, notes = read(spec)
    assert found is None
    assert any(line.startswith(error) for line in notes.errors), notes.errors


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"metadata": {}}, "f.metadata.name: None is no name"),
        ({"metadata": {"name": "A"}}, "f.metadata.name: 'A' is no name"),
        (
            {"metadata": {"name": "a", "namespace": "a.b"}},
            "f.metadata.namespace: 'a.b'",
        ),
        ({"spec": None}, "f.spec: is missing"),
        ({"data": {}}, "f.data: unknown key"),
    ],
)
def test_an_object_has_a_name_and_a_spec(body, error):
    _, notes = read({}, **body)
    assert any(line.startswith(error) for line in notes.errors), notes.errors


def test_host_bits_of_a_block_do_not_matter():
    block = {
        "cidr": f"{packets.pod_one_ip4}/24",
        "except": [f"{packets.pod_two_ip4}/32"],
    }
    found, _ = read({"ingress": [{"from": [{"ipBlock": block}]}]})
    assert str(found.ingress[0].peers[0].cidr) == packets.net_ip4


def test_null_is_absent():
    notes = ErrorCollector()
    assert label_selector(notes, "s", None) == LabelSelector()
    assert label_selector(notes, "s", {"matchLabels": None}) == LabelSelector()
    assert not notes.errors


def test_an_expression_may_have_null_values():
    notes = ErrorCollector()
    asked = {"key": "a", "operator": "Exists", "values": None}
    found = label_selector(notes, "s", {"matchExpressions": [asked]})
    assert [one.key for one in found.expressions] == ["a"]
    assert not notes.errors


def test_sctp_has_ports_too():
    found, notes = read({"ingress": [{"ports": [{"protocol": "SCTP", "port": 3868}]}]})
    assert found.ingress[0].ports == (PortRange("sctp", 3868, 3868),)
    assert not notes.warnings


def test_ipv4_as_ipv6_has_it_is_ipv4():
    block = {"cidr": "::ffff:192.0.2.0/120", "except": ["::ffff:192.0.2.8/125"]}
    found, notes = read({"ingress": [{"from": [{"ipBlock": block}]}]})
    [taken] = found.ingress[0].peers
    assert (str(taken.cidr), str(taken.excepts[0])) == ("192.0.2.0/24", "192.0.2.8/29")
    assert not notes.errors

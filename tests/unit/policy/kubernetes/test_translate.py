"""The imported policy lets pass what an independent reading of the NetworkPolicies lets pass: for
random ones, and for those that everybody writes first.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings

from pyctl.errors import UsageError
from pyctl.model.policy import Direction
from pyctl.model.workload import Mode
from pyctl.policy.fields import Notes
from pyctl.policy.kubernetes.translate import names_ports, read_all, translate
from pyctl.policy.parse import parse
from pyctl.policy.resolve import effective_mode
from tests import packets
from tests.unit.policy import kubernetes_oracle as oracle
from tests.unit.policy.kubernetes.imported import (
    as_workload,
    connects,
    passes,
    translated,
)
from tests.unit.policy.kubernetes.worlds import NODE, flows, policies, worlds
from tests.unit.policy.kubernetes_oracle import Flow, Pod
from tests.unit.policy.worlds import HOSTS

WEB = Pod("web", HOSTS[0], labels={"app": "web"}, ports={"http": ("TCP", 80)})
API = Pod("api", HOSTS[1], labels={"app": "api"})
SPY = Pod("spy", HOSTS[2], "lab", {"app": "api"}, {"purpose": "test"})
DNS = Pod("dns", HOSTS[3], "kube-system", {"k8s-app": "kube-dns"})
PODS = [WEB, API, SPY, DNS]
WORLD = packets.world_ip4
OF_WEB = {"matchLabels": {"app": "web"}}


def policy(name: str = "p", **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(policies(), worlds())
def test_each_end_answers_as_the_reference_does(objects, pods):
    try:
        found = parse(translated(objects, pods, [NODE]).text)
    except UsageError as error:
        if "declare" not in str(error):
            raise
        reject()
    for flow in flows(pods):
        if isinstance(flow.source, Pod):
            meant = oracle.may_open(objects, flow)
            assert passes(found, flow, Direction.EGRESS) == meant, flow
        if isinstance(flow.target, Pod):
            meant = oracle.may_receive(objects, flow, [NODE])
            assert passes(found, flow, Direction.INGRESS) == meant, flow
    for pod in pods:
        isolated = any(
            oracle.isolated(objects, pod, kind) for kind in ("Ingress", "Egress")
        )
        mode = effective_mode(found, as_workload(pod)).mode
        assert mode is (Mode.PROTECT if isolated else Mode.DISCOVER)


FROM_PODS = {"api", "81", "icmp"}
RECIPES = {
    "deny all": ("[]", set()),
    "allow all": ("[{}]", {*FROM_PODS, "spy", "world"}),
    "allow from pods": (
        "[{from: [{podSelector: {matchLabels: {app: api}}}]}]",
        FROM_PODS,
    ),
    "allow from a namespace": (
        "[{from: [{namespaceSelector: {matchLabels: {purpose: test}}}]}]",
        {"spy"},
    ),
    "allow from pods of a namespace by name": (
        """
        - from:
            - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}
              podSelector: {matchLabels: {app: api}}
        """,
        {"spy"},
    ),
    "allow from all namespaces": (
        "[{from: [{namespaceSelector: {}}]}]",
        {*FROM_PODS, "spy"},
    ),
    "allow a port": ("[{ports: [{port: 80}]}]", {"api", "spy", "world"}),
    "allow a port by name": ("[{ports: [{port: http}]}]", {"api", "spy", "world"}),
    "allow a range of ports": ("[{ports: [{port: 81, endPort: 90}]}]", {"81"}),
    "allow addresses except some": (
        f"[{{from: [{{ipBlock: {{cidr: 0.0.0.0/0, except: [{API.address}/32]}}}}]}}]",
        {"spy", "world"},
    ),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_into_web(recipe):
    rules, meant = RECIPES[recipe]
    asked = {
        "api": Flow(API, WEB, "TCP", 80),
        "spy": Flow(SPY, WEB, "TCP", 80),
        "world": Flow(WORLD, WEB, "TCP", 80),
        "81": Flow(API, WEB, "TCP", 81),
        "icmp": Flow(API, WEB, "ICMP", 0),
    }
    objects = [policy(podSelector=OF_WEB, ingress=yaml.safe_load(rules))]
    assert {
        who for who, flow in asked.items() if connects(objects, PODS, flow)
    } == meant
    assert connects(objects, PODS, Flow(WEB, WORLD, "TCP", 80)), "egress is free"


DNS_ONLY = yaml.safe_load("""
podSelector: {}
policyTypes: [Egress]
egress:
  - to:
      - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
        podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
""")
GOLDEN = """\
apiVersion: segctl/v1
groups:
  default.dns.pods: {selector: {labels: {io.kubernetes.pod.namespace: default}}}
  default.dns.egress0.peer0: {selector: {labels: {io.kubernetes.pod.namespace: kube-system, \
k8s-app: kube-dns}}}
modes:
  default.dns.pods: protect
rules:
  - {id: 1, from: default.dns.pods, to: default.dns.egress0.peer0, direction: egress, \
ports: [udp/53, tcp/53], action: allow, comment: 'default/dns egress[0]'}
  - {id: 2, from: default.dns.pods, to: any, direction: egress, action: deny, \
comment: isolated by default/dns}
  - {id: 3, from: any, to: any, action: allow, comment: what is not isolated}
"""


def test_out_of_a_namespace_dns_only():
    objects = [policy("dns", **DNS_ONLY)]
    for flow, meant in [
        (Flow(WEB, DNS, "UDP", 53), True),
        (Flow(WEB, DNS, "TCP", 53), True),
        (Flow(WEB, DNS, "TCP", 80), False),
        (Flow(WEB, WORLD, "UDP", 53), False),
        (Flow(WEB, API, "TCP", 80), False),
        (Flow(SPY, WORLD, "TCP", 80), True),
        (Flow(WORLD, WEB, "TCP", 80), True),
    ]:
        assert connects(objects, PODS, flow) is meant, flow


def test_the_text_says_where_each_rule_is_from():
    text = translated([policy("dns", **DNS_ONLY)], PODS).text
    head, _, rest = text.partition("\n")
    assert head.startswith("# From Kubernetes NetworkPolicies")
    assert rest == GOLDEN


def test_policies_add_up():
    objects = [
        policy("deny", podSelector={}),
        policy("one", podSelector=OF_WEB, ingress=[{"ports": [{"port": 80}]}]),
        policy("other", podSelector=OF_WEB, ingress=[{"ports": [{"port": 81}]}]),
    ]
    for number, meant in ((80, True), (81, True), (82, False)):
        assert connects(objects, PODS, Flow(WORLD, WEB, "TCP", number)) is meant
    assert not connects(objects, PODS, Flow(WORLD, API, "TCP", 80))


def test_the_node_reaches_its_pods_whatever_isolates_them():
    flow = Flow(NODE, WEB, "TCP", 80)
    assert not connects([policy()], PODS, flow)
    assert connects([policy()], PODS, flow, [NODE])


BY_NAME = [{"port": "http"}]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"ingress": [{"ports": [{"port": "x"}]}]}, ".ingress[0].ports[0].port: no"),
        (
            {"ingress": [{"ports": [{"protocol": "UDP", "port": "http"}]}]},
            "no attached workload that is meant declares 'http'",
        ),
        (
            {"podSelector": {"matchLabels": {"app": "api"}}}
            | {"ingress": [{"ports": BY_NAME}]},
            "no attached workload that is meant declares 'http'",
        ),
        (
            {
                "egress": [
                    {"to": [{"ipBlock": {"cidr": packets.net_ip4}}], "ports": BY_NAME}
                ]
            },
            "egress[0].ports[0].port: 'http' is a name, and the addresses of an ipBlock",
        ),
    ],
)
def test_a_name_of_a_port_that_nobody_means_is_an_error(spec, error):
    with pytest.raises(UsageError) as caught:
        translated([policy(**spec)], PODS)
    assert error in str(caught.value)


def test_a_named_port_is_each_workloads_own():
    other = Pod("other", HOSTS[1], ports={"http": ("TCP", 8080)})
    made = translated([policy(ingress=[{"ports": BY_NAME}])], [WEB, other])
    assert [(rule["to"], rule.get("ports")) for rule in made.document["rules"]] == [
        ("default.p.ingress0.0.0.80", ["tcp/80"]),
        ("default.p.ingress0.0.0.8080", ["tcp/8080"]),
        ("default.p.pods", None),
        ("any", None),
    ]


def test_only_names_of_ports_ask_for_the_workloads():
    def asks(port):
        text = repr(policy(egress=[{"ports": [{"port": port}]}]))
        return names_ports(read_all(Notes(), {"f": text}))

    assert asks("web")
    assert not asks(80)


def test_one_object_given_twice_or_none_at_all_is_an_error():
    with pytest.raises(
        UsageError, match=r"items\[1\].metadata.name: default/p is given twice"
    ):
        translated([policy(), policy()], [])
    notes = Notes()
    read_all(notes, {"a": "", "b": "---"})
    assert notes.errors == ["a, b: there is no NetworkPolicy in it"]


def test_the_mode_of_isolated_pods_is_the_one_asked_for():
    found = read_all(Notes(), {"f": repr(policy())})
    made = parse(translate(Notes(), found, mode=Mode.MONITOR).text)
    assert made.modes == {"default.p.pods": Mode.MONITOR}

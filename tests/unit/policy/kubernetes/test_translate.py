"""The imported policy lets pass what an independent reading of the NetworkPolicies lets pass: for
random ones, and for those that everybody writes first.
"""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings

from pyctl.errors import UsageError
from pyctl.model.policy import Direction
from pyctl.model.workload import Mode
from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.document.parse import parse
from pyctl.policy.document.resolve import effective_mode
from pyctl.policy.kubernetes.translate import (
    asks_for_labels,
    asks_for_ports,
    read_all,
    translate,
)
from tests import packets
from tests.unit.policy import kubernetes_oracle as oracle
from tests.unit.policy.kubernetes.imported import (
    as_workload,
    connects,
    enforced,
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
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(policies(), worlds())
def test_each_end_answers_as_the_reference_does(objects, pods):
    try:
        found = enforced(objects, pods, [NODE])
    except UsageError:
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


def test_what_is_no_name_is_an_error_and_any_is_none():
    for name, error in (("x_y", "is no name of a port"), ("any", "rename the port")):
        with pytest.raises(UsageError, match=error):
            translated([policy(ingress=[{"ports": [{"port": name}]}])], PODS)


def test_a_named_port_stays_a_name_for_pods_and_means_nothing_in_a_block():
    block = {"ipBlock": {"cidr": packets.world_net_ip4}}
    by = [*BY_NAME, {"port": 53, "protocol": "UDP"}]
    egress = [{"to": [{"podSelector": {}}, block], "ports": by}, {"ports": BY_NAME}]
    egress.append({"to": [block], "ports": BY_NAME})
    made = translated([policy(egress=egress, policyTypes=["Egress"])], [])
    assert [(rule["to"], rule.get("ports")) for rule in made.document["rules"]] == [
        ("default.p.pods", ["tcp/http", "udp/53"]),
        ("default.p.egress0.peer1", ["udp/53"]),
        ("any", ["tcp/http"]),
        ("any", None),
        ("any", None),
    ]
    assert sum("of an ipBlock declare none" in line for line in made.warnings) == 2


def test_only_names_of_ports_behind_services_ask_for_the_workloads():
    def asks(port, by):
        spec = {"clusterIP": packets.world_ip4, "selector": {"app": "web"}}
        spec["ports"] = [{"port": 80, "targetPort": port}]
        service = {"kind": "Service", "metadata": {"name": "s"}, "spec": spec}
        items = [policy(egress=[{"ports": by}]), {"apiVersion": "v1"} | service]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        return asks_for_ports(read_all(ErrorCollector(), {"f": text}))

    assert asks("web", [{"port": 80}])
    assert asks(80, BY_NAME)
    assert not asks(80, [{"port": 80}])
    text = repr(policy(egress=[{"ports": BY_NAME}]))
    assert not asks_for_ports(read_all(ErrorCollector(), {"f": text}))


def test_one_object_given_twice_or_none_at_all_is_an_error():
    with pytest.raises(
        UsageError, match=r"items\[1\].metadata.name: default/p is given twice"
    ):
        translated([policy(), policy()], [])
    notes = ErrorCollector()
    read_all(notes, {"a": "", "b": "---"})
    assert notes.errors == ["a, b: there is no NetworkPolicy in it"]


def test_the_mode_of_isolated_pods_is_the_one_asked_for():
    found = read_all(ErrorCollector(), {"f": repr(policy())})
    made = parse(translate(ErrorCollector(), found, mode=Mode.MONITOR).text)
    assert made.modes == {"default.p.pods": Mode.MONITOR}


@pytest.mark.parametrize(
    ("peer", "asks"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, False),
        ({"namespaceSelector": {}}, False),
        ({"namespaceSelector": {"matchLabels": {"purpose": "test"}}}, True),
        ({"ipBlock": {"cidr": packets.net_ip4}}, False),
    ],
)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_labels_of_namespaces_are_asked_for_where_a_peer_is_chosen_by_them(
    peer, asks, direction
):
    end = {"from" if direction == "ingress" else "to": [peer]}
    text = json.dumps(policy(podSelector={}, **{direction: [end]}))
    assert asks_for_labels(read_all(ErrorCollector(), {"f": text})) is asks

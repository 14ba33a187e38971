"""NetworkPolicies of Kubernetes, imported and applied, with live traffic."""

from __future__ import annotations

from tests import packets
from tests.lab.net import traffic

POLICIES = f"""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: default-deny, namespace: shop}}
spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  ingress:
    - from:
        - namespaceSelector: {{matchLabels: {{team: buyers}}}}
          podSelector: {{matchExpressions: [{{key: app, operator: In, values: [client]}}]}}
      ports: [{{port: http}}, {{port: 8090, endPort: 8091}}]
    - from: [{{ipBlock: {{cidr: "{packets.net_ip6}", except: ["{packets.pod_two_ip6}/128"]}}}}]
      ports: [{{port: 8082}}]
"""
SHOP = {"io.kubernetes.pod.namespace": "shop", "app": "web", "segctl.port.http": "8080"}
BUYERS = {
    "io.kubernetes.pod.namespace": "buyers",
    "segctl.namespace.team": "buyers",
    "app": "client",
}


def test_pods_are_isolated_but_for_what_their_policies_allow(lab, agent, tmp_path):
    _host, (web, client, other) = lab.pods(3)
    four, six = packets.pod_one_ip4, packets.pod_one_ip6
    for port in (8080, 8082, 8091):
        traffic.tcp_echo(web, four, port)
        traffic.tcp_echo(client, packets.pod_two_ip4, port)
    traffic.tcp_echo(web, six, 8082)
    agent.attach(web, "web", labels=SHOP)
    agent.attach(client, "client", labels=BUYERS)
    file = tmp_path / "policies.yaml"
    file.write_text(POLICIES, encoding="utf-8")
    order = ("policy", "import", "--kubernetes", "--node", packets.gateway_ip4)
    agent.cli(*order, "-f", str(file), "--apply")

    for port, seen in ((8080, "open"), (8091, "open"), (8082, "silence")):
        assert traffic.tcp_try(client, four, port) == seen
    assert traffic.tcp_try(other, four, 8080) == "silence", "no pod of that namespace"
    assert traffic.tcp_try(client, six, 8082) == "silence", "the block excepts it"
    assert traffic.tcp_try(other, six, 8082) == "open", "its address is in the block"
    assert traffic.tcp_try(web, packets.pod_two_ip4, 8080) == "silence", "egress"
    assert traffic.tcp_try(other, packets.pod_two_ip4, 8080) == "open", "not isolated"

    for port in (9090, 8080):
        traffic.tcp_echo(other, packets.pod_three_ip4, port)
    agent.attach(other, "later", labels=SHOP | {"segctl.port.http": "9090"})
    for port, seen in ((9090, "open"), (8080, "silence")):
        assert traffic.tcp_try(client, packets.pod_three_ip4, port) == seen
    assert traffic.tcp_try(client, four, 8080) == "open", "its own number"

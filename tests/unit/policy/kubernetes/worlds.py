"""NetworkPolicies, pods and flows at random."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import product

from hypothesis import strategies as st

from tests import packets
from tests.unit.policy.kubernetes_oracle import Flow, Pod
from tests.unit.policy.worlds import CIDRS, POOL

NAMESPACES = {
    "default": {},
    "shop": {"team": "a"},
    "bank": {"team": "b", "example.org/kind": ""},
}
NODE = packets.gateway_ip4
STRANGERS = [packets.world_ip4, packets.world_ip6, NODE]
values = st.sampled_from(["a", "b", ""])
pod_keys = st.sampled_from(["app", "tier"])
namespace_keys = st.sampled_from(
    ["team", "example.org/kind", "kubernetes.io/metadata.name"]
)
namespace_values = st.sampled_from(["a", "b", "", "default", "shop"])


def expressions(keys, choices):
    return st.one_of(
        st.builds(
            lambda key, operator, chosen: {
                "key": key,
                "operator": operator,
                "values": chosen,
            },
            keys,
            st.sampled_from(["In", "NotIn"]),
            st.lists(choices, min_size=1, max_size=2),
        ),
        st.builds(
            lambda key, operator: {"key": key, "operator": operator},
            keys,
            st.sampled_from(["Exists", "DoesNotExist"]),
        ),
    )


def selectors(keys, choices):
    return st.one_of(
        st.just({}),
        st.fixed_dictionaries(
            {"matchLabels": st.dictionaries(keys, choices, min_size=1, max_size=2)}
        ),
        st.fixed_dictionaries(
            {
                "matchExpressions": st.lists(
                    expressions(keys, choices), min_size=1, max_size=2
                )
            },
            optional={"matchLabels": st.dictionaries(keys, choices, max_size=1)},
        ),
    )


pod_selectors = selectors(pod_keys, values)
namespace_selectors = selectors(namespace_keys, namespace_values)


@st.composite
def blocks(draw):
    cidr = draw(st.sampled_from(CIDRS))
    whole = ip_network(cidr)
    inner = [
        text
        for text in CIDRS
        if (net := ip_network(text)).version == whole.version
        and net != whole
        and net.subnet_of(whole)
    ]
    if not inner:
        return {"ipBlock": {"cidr": cidr}}
    holes = draw(st.lists(st.sampled_from(inner), max_size=2))
    return {"ipBlock": {"cidr": cidr, "except": holes}}


peers = st.one_of(
    blocks(),
    st.fixed_dictionaries({"podSelector": pod_selectors}),
    st.fixed_dictionaries({"namespaceSelector": namespace_selectors}),
    st.fixed_dictionaries(
        {"namespaceSelector": namespace_selectors, "podSelector": pod_selectors}
    ),
)
ports = st.one_of(
    st.sampled_from(
        [
            {},
            {"port": 80},
            {"protocol": "UDP"},
            {"protocol": "UDP", "port": 53},
            {"protocol": "TCP", "port": 80, "endPort": 443},
        ]
    ),
    st.sampled_from([{"port": "web"}, {"protocol": "UDP", "port": "dns"}]),
)


def rules(key):
    return st.fixed_dictionaries(
        {},
        optional={
            key: st.lists(peers, max_size=2),
            "ports": st.lists(ports, max_size=2),
        },
    )


@st.composite
def policies(draw):
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"p{n}"}
            | draw(
                st.sampled_from([{}, *({"namespace": name} for name in NAMESPACES)])
            ),
            "spec": draw(
                st.fixed_dictionaries(
                    {"podSelector": pod_selectors},
                    optional={
                        "policyTypes": st.sampled_from(
                            [[], ["Ingress"], ["Egress"], ["Ingress", "Egress"]]
                        ),
                        "ingress": st.lists(rules("from"), max_size=2),
                        "egress": st.lists(rules("to"), max_size=2),
                    },
                )
            ),
        }
        for n in range(draw(st.integers(1, 3)))
    ]


@st.composite
def worlds(draw):
    found = []
    for n, address in enumerate(POOL[:2] + POOL[-2:]):
        namespace = draw(st.sampled_from(sorted(NAMESPACES)))
        found.append(
            Pod(
                f"w{n}",
                address,
                namespace,
                draw(st.dictionaries(pod_keys, values, max_size=2)),
                NAMESPACES[namespace],
                draw(
                    st.sampled_from(
                        [
                            {},
                            {"web": ("TCP", 80), "dns": ("UDP", 53)},
                            {"web": ("TCP", 443)},
                            {"web": ("UDP", 80), "dns": ("TCP", 53)},
                        ]
                    )
                ),
            )
        )
    return found


def flows(pods):
    for source, target in product([*pods, *STRANGERS], repeat=2):
        if source is target or not (isinstance(source, Pod) or isinstance(target, Pod)):
            continue
        for protocol, number in (
            ("TCP", 80),
            ("TCP", 81),
            ("TCP", 443),
            ("UDP", 53),
            ("UDP", 80),
            ("ICMP", 0),
        ):
            yield Flow(source, target, protocol, number)

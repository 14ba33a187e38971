"""Kubernetes NetworkPolicies (networking.k8s.io/v1) → a policy of ours, with their meaning. Pure.

policies   what NetworkPolicies say, as values
manifests  text (several documents, lists) → the objects in it, each with its path
read       an object → NetworkPolicy; every error with its path; read_cluster: Namespaces, Services
peers      their selectors, by our labels
ports      their ports, and the numbers that Services lead to
services   the addresses of Services that lead to pods which a rule allows
groups     the groups of the policy, each content once
translate  NetworkPolicies → a policy document

A workload stands for a pod: its labels are the pod's; `io.kubernetes.pod.namespace` names its
namespace (without it: `default`); `segctl.namespace.KEY=VALUE` says a label of that namespace, whose
`kubernetes.io/metadata.name` is its name; `segctl.port.NAME=8080` (or `53-udp`) declares a named port.

In: manifests, workloads, the node's addresses. Out: a policy as text, warnings.
May import: policy, errors.
"""

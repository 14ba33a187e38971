"""A policy as the workloads on a node make it: what their addresses and labels say is in it.

In: a Policy, the workloads. Out: the Policy that is looked up. I/O: none.
"""

from __future__ import annotations

from collections.abc import Collection

from pyctl.model.workload import Workload
from pyctl.policy.document.casts import with_subnets
from pyctl.policy.document.named_ports import PortNames, expand_named_ports
from pyctl.policy.document.types import Policy


def effective(policy: Policy, workloads: Collection[Workload]) -> Policy:
    """Return the policy with the numbers of its named ports, and the subnets of `broadcast`."""
    declared = PortNames(policy).declared_by(workloads)
    return with_subnets(expand_named_ports(policy, declared), workloads)

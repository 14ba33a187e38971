"""Ports in our words, named ones by what the workloads declare.

In: ports of NetworkPolicies, workloads. Out: texts like `tcp/80`. I/O: none.
A pod declares its named ports in its containers; a workload does so by a label, `segctl.port.NAME`,
with a number or `number/udp` as value. A name may stand for another number on each of them, so a rule
with a name becomes one for every value, to those alone that have it. A value that turns up later is
allowed by no rule until the policies are imported again.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pyctl.policy.document import Selector
from pyctl.policy.kubernetes.policies import NamedPort, PortRange
from pyctl.policy.resolve import Named, selects

PORT_LABEL = "segctl.port."
_DECLARED = re.compile(r"([0-9]{1,5})(?:/(tcp|udp|sctp))?")


def text(port: PortRange) -> str:
    """As a rule of ours says it."""
    if port.low == 0:
        return f"{port.proto}/any"
    if port.low == port.high:
        return f"{port.proto}/{port.low}"
    return f"{port.proto}/{port.low}-{port.high}"


def declared(
    port: NamedPort, among: Selector, workloads: Collection[Named]
) -> dict[str, str]:
    """Of the workloads that are meant: value of their label → the port that it means."""
    values = {
        workload.labels.get(PORT_LABEL + port.name, "")
        for workload in workloads
        if selects(among, workload)
    }
    found = {}
    for value in sorted(values):
        said = _DECLARED.fullmatch(value)
        if said and 0 < int(said[1]) < 65536 and (said[2] or "tcp") == port.proto:
            found[value] = f"{port.proto}/{int(said[1])}"
    return found

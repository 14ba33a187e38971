"""Driver, engine and supervisor that write down what they are told, and compiled policies to tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyctl.datapath.drivers import Drivers
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from pyctl.model.policy import (
    Action,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.workload import Mode
from pyctl.policy.compile.compiler import Compiled, Compiler, Part, port_pair
from pyctl.policy.document.types import EMPTY
from tests.unit.state.test_store import PORT, WEB


class Recorder:
    """Driver, engine and supervisor in one: writes down who was told what, in order."""

    capabilities = Drivers(Instance("segt-steering")).capabilities

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.owned: list[tuple] = []
        """What drivers were told of owners, which is no port's."""
        self.on_new_engine = lambda: None
        self.fail_on = ""
        self.failure: BaseException | None = None

    def __getattr__(self, name):
        def call(*args):
            self.told.append((name, *args))
            if name == self.fail_on:
                raise self.failure or SegctlError(f"{name} failed")

        return call

    def of(self, _kind) -> Recorder:
        return self

    def write_owners(self, *args) -> None:
        self.owned.append(args)

    def holder(self, _port_id, *, besides) -> None:
        """Nothing is left in the other datapath."""

    def teach_with(self, teach) -> None:
        self.on_new_engine = lambda: teach(self)

    def call_engine(self, what) -> None:
        what(self)

    def names(self) -> list[str]:
        return [entry[0] for entry in self.told]


NODE = NodePolicy(("any", "web"))
RULES = replace(NODE, rules=(NodeRule(1, 0, 1, (PortMatch(0),), Action.ALLOW),))


def policy(
    mode: Mode = Mode.PROTECT,
    default: Action = Action.DENY,
    node: NodePolicy = NODE,
    **members: Any,
) -> Compiled:
    """A node with one port, which is in the group web."""
    ports = {300: PortPolicy(300, mode, PORT.mac, None, default)}
    known = Members(**{"ports": {300: (0, 1)}, **members})
    pairs = {300: port_pair(WEB, PORT, mode)}
    part = Part(WEB, (0, 1), ports, pairs, {300: ()}, tuple(known.addresses))
    return Compiled(node, known, ports, {300: ()}, pairs, {WEB.id: part})


def swapped(recorder: Recorder) -> list[tuple[PortPolicy, int]]:
    """Each swap of the port's policy so far, alone or with the node's."""
    found = []
    for name, *given in recorder.told:
        if name == "policy_set":
            found.append((given[1], given[0]))
        elif name in {"node_set", "members_set"}:
            found += given[2]
    return found


def two_ports(quarantined: int = 0) -> Compiled:
    """Two workloads of one port each; that which is quarantined is, the other changes too."""
    loads = []
    for port_id in (300, 301):
        port = replace(PORT, port_id=port_id)
        mode = Mode.QUARANTINE if port_id == quarantined else None
        load = replace(WEB, id=str(port_id), ports=(port,), forced_mode=mode)
        loads.append(replace(load, any_source=bool(quarantined)))
    return Compiler(EMPTY).compile(loads)

"""A core whose ports are judged by a node policy."""

from __future__ import annotations

from typing import Any

from pyctl.engine.node_records import changed_members, pack_members, pack_node
from pyctl.model.policy import (
    Action,
    Members,
    NodePolicy,
    NodeRule,
    PortMatch,
    PortPolicy,
)
from pyctl.model.workload import Mode
from pyctl.policy.compile.compiler import Compiled, difference
from tests import packets
from tests.unit.engine.core.harness import PORT, Core

ALL = (PortMatch(0),)


def head(
    generation: int, port: int = PORT, mode: Mode = Mode.PROTECT, cache: bool = True
):
    """What sg_policy says of a port."""
    mac, default = packets.pod_one_mac, Action.DENY
    if mode is Mode.DISCOVER:
        default = Action.ALLOW
    return PortPolicy(port, mode, mac, None, default, cache=cache), generation


class Node:
    """A core's node policy."""

    def __init__(self, module, workers: int = 0) -> None:
        self.core = Core(module, workers=workers)
        self.node = None
        self.version = 0
        """The last one of its classes."""
        self._made = self.core.ffi.new("struct sg_node **")

    def swap(self, blob: bytes) -> int:
        core, lib, data = self.core.core, self.core.lib, self.core.ffi.from_buffer(blob)
        error = lib.sg_core_node_build(core, data, len(blob), self._made)
        if error:
            return error
        self.node = self._made[0]
        former = self.core.ffi.new("struct sg_node **")
        self.version += 1
        whole = lib.sg_core_classes_write(core, self.node, self.version)
        assert (
            lib.sg_core_node_swap(core, self.node, whole, data, len(blob), former) == 0
        )
        lib.sg_node_free(former[0])
        return 0

    def delta(self, blob: bytes) -> int:
        data = self.core.ffi.from_buffer(blob)
        return self.core.lib.sg_core_members_set(self.core.core, data, len(blob))

    def follow(self, before: Compiled, after: Compiled) -> None:
        if before.node != after.node or self.node is None:
            assert self.swap(pack_node(after.node, after.members, [])) == 0
            return
        for port_id in before.ports.keys() - after.ports.keys():
            self.core.lib.sg_core_port_delete(self.core.core, port_id)
        where = difference(before, after)
        moved = changed_members(
            before.members, after.members, where.ports, where.addresses
        )
        assert self.delta(pack_members(after.node, moved, [])) == 0

    def ask(
        self, port_id, direction, local, peer, proto, dport, segment, app=0
    ) -> tuple[int, int]:
        """The ids of the rule that decides, and of the staged one that would; 0: none."""
        found = self.find(port_id, direction, local, peer, proto, dport, segment, app)
        return tuple(rule.id if rule else 0 for rule in (found.rule, found.staged))

    def find(
        self,
        port_id,
        direction,
        local,
        peer,
        proto,
        dport,
        segment=0,
        app=0,
        facts=None,
    ) -> Any:
        """The whole struct sg_found."""
        ffi = self.core.ffi
        ends = [ffi.new("__u8[16]", ip.packed.ljust(16, b"\0")) for ip in (local, peer)]
        question = ffi.new(
            "struct sg_policy_query *",
            (
                *ends,
                dport,
                direction,
                4 if local.version == 4 else 6,
                proto,
                0,
                app,
                segment,
                facts or ffi.NULL,
            ),
        )
        found = ffi.new("struct sg_found *")
        assert self.core.lib.sg_node_ask(self.node, port_id, question, found) == 0
        return found

    def judge_by(
        self, *rules: NodeRule, mode: Mode = Mode.PROTECT, cache: bool = True
    ) -> int:
        """Rules between anybody and anybody, whatever their ends say; the port's generation."""
        self.core.generation += 1
        stamped = head(self.core.generation, mode=mode, cache=cache)
        assert self.swap(pack_node(NodePolicy(rules=rules), Members(), [stamped])) == 0
        return self.core.generation

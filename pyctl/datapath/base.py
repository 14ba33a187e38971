"""The driver contract. What NeuVector calls Connect, Cleanup, AttachPortPair, DetachPortPair,
FwdPortPair, TapPortPair, ResetPortPair and GetPortPairRules, with one difference: forwarding,
tapping and resetting a pair are its mode, so `update` does all three as a map write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyctl.model.workload import Counter, DatapathKind, PortPair


class Driver(Protocol):
    """One datapath in one enforcer namespace. Every method raises SegctlError on failure, with
    the kernel left as it was before the call.
    """

    kind: DatapathKind

    def connect(self) -> None:
        """Make the datapath ready on vbr-neuv (which exists and is down or up). Idempotent:
        finds and keeps what an earlier agent left, without a moment of lost packets.
        """

    def cleanup(self) -> None:
        """Take away everything of this datapath. Idempotent."""

    def attach(self, pair: PortPair) -> None:
        """Steer a pair whose links exist in the enforcer namespace (up or down). Idempotent."""

    def detach(self, port_id: int) -> None:
        """Stop steering: filters, map entries and counters of the port go; its flows are the engine's,
        which takes them out when it forgets the port. Idempotent, also where the links are gone.
        """

    def update(self, pair: PortPair) -> None:
        """Mode, fail policy, options, MACs and addresses of an attached pair. No packet lost."""

    def repair(self, port_id: int) -> list[str]:
        """Make the kernel hold again what was asked for, where a stranger took it away; gives a line
        for each difference found. NotFoundError for a port that is not attached.
        """

    def in_front(self, port_id: int) -> list[str]:
        """A line for each filter of others that the port's frames meet before ours (`foreign_filters`):
        told, never taken away. NotFoundError for a port that is not attached.
        """

    def publish(self, generations: Mapping[int, int]) -> None:
        """By port. From its return on, plus the grace period that the caller waits, only flows stamped
        with these are carried. A driver without a verdict cache does nothing.
        """

    def rules(self, port_id: int) -> list[str]:
        """The pair's rules as the kernel holds them, for people."""

    def counters(self, port_id: int) -> Mapping[str, Counter]:
        """By reason name (abi.REASONS); reasons never met are absent."""

    def port_in_use(self, port_id: int) -> bool:
        """Whether anything of a port with this id is left in the kernel."""

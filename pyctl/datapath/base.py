"""The driver contract. What NeuVector calls Connect, Cleanup, AttachPortPair, DetachPortPair,
FwdPortPair, TapPortPair, ResetPortPair and GetPortPairRules, with one difference: forwarding,
tapping and resetting a pair are its mode, so `update` does all three as a map write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from pyctl.model.workload import Capabilities, Counter, DatapathKind, PortPair


class Driver(Protocol):
    """The interface of one datapath in one enforcer namespace. Every method raises SegctlError on failure and
    leaves the kernel as it was before the call.
    """

    kind: ClassVar[DatapathKind]
    capabilities: ClassVar[Capabilities]

    def connect(self) -> None:
        """Make the datapath ready on vbr-neuv, which exists and may be down. Idempotent: it keeps what an
        earlier agent left, without packet loss.
        """

    def cleanup(self) -> None:
        """Remove everything of this datapath. Idempotent."""

    def attach(self, pair: PortPair) -> None:
        """Steer a pair whose links exist in the enforcer namespace (up or down). Idempotent."""

    def detach(self, port_id: int) -> None:
        """Stop steering: remove filters, map entries and counters of the port. The engine removes the port's
        flows when it forgets the port. Idempotent, also if the links are gone.
        """

    def update(self, pair: PortPair) -> None:
        """Update mode, fail policy, options, MACs and addresses of an attached pair without packet loss."""

    def repair(self, port_id: int) -> list[str]:
        """Restore what the kernel should hold for the port and somebody removed; return a line for each
        difference found. NotFoundError for a port that is not attached.
        """

    def in_front(self, port_id: int) -> list[str]:
        """Return a line for each filter of others that the port's frames meet before ours; these are
        reported, never removed. NotFoundError for a port that is not attached.
        """

    def publish(self, generations: Mapping[int, int]) -> None:
        """Publish generations by port. After return and the caller's grace period, only flows with these
        generations are carried. A driver without a verdict cache does nothing.
        """

    def rules(self, port_id: int) -> list[str]:
        """Return the pair's rules as the kernel holds them, a line each, for users."""

    def counters(self, port_id: int) -> Mapping[str, Counter]:
        """Return the port's counters by reason name (abi.REASONS); reasons never met are absent."""

    def port_in_use(self, port_id: int) -> bool:
        """Return whether anything of a port with this id is left in the kernel."""

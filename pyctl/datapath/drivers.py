"""The datapaths of one node: one driver of each kind, made ready when it is first needed.

In: an instance, kinds. Out: connected drivers, ports handed over from one to the other.
What u32 needs is tried in a scratch namespace, by a process of its own. A node may hold workloads on both at once. On a port, both hang on clsact ingress; the eBPF filter
has the place in front, so the u32 rules wait behind it while it comes or goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network

from pyctl import abi
from pyctl.datapath.base import Driver
from pyctl.datapath.ebpf.driver import PRIORITY, EbpfDriver
from pyctl.datapath.owners import Owners, network_changes
from pyctl.datapath.u32 import plan as u32_plan
from pyctl.datapath.u32 import probe as u32_probe
from pyctl.datapath.u32.driver import U32Driver
from pyctl.errors import NotCapableError, NotFoundError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import (
    Capabilities,
    DatapathKind,
    PortPair,
    Segment,
    Workload,
)
from pyctl.platform.watch.filters import Touched

Cidrs = Mapping[int, tuple[IPv4Network | IPv6Network, ...]]
"""Networks of the policy's CIDR groups."""

_BRIDGE = (u32_plan.VBR, abi.constant("SEG_VTH_IFINDEX"))


class Drivers:
    """The drivers of one instance, by kind."""

    def __init__(self, instance: Instance, workers: int = 1) -> None:
        self._instance = instance
        self._ebpf = EbpfDriver(instance, workers)
        self._u32 = U32Driver(instance)
        self._by_kind: dict[DatapathKind, Driver] = {
            DatapathKind.EBPF: self._ebpf,
            DatapathKind.U32: self._u32,
        }
        self._ready: set[DatapathKind] = set()
        self._owners = Owners()
        self._cidrs: Cidrs | None = None
        """The networks told last; None: none yet."""
        self.default = DatapathKind.EBPF
        """What `auto` means here; known once `start` has run."""

    def start(self) -> list[str]:
        """Choose the default and connect it: ebpf if it works, else u32. Connect u32 too if it holds ports.
        Return warnings; raise the ebpf error if neither works. A refused bpf(2) is common even for root
        (lockdown, a seccomp filter), so that counts as "does not work".
        """
        warnings = []
        try:
            self.of(DatapathKind.EBPF)
        except SegctlError as error:
            try:
                self.of(DatapathKind.U32)
            except NotCapableError:
                raise error from None
            self.default = DatapathKind.U32
            warnings.append(f"the u32 datapath stands in for ebpf: {error.tried}")
        if self._u32.port_ids():
            self.of(DatapathKind.U32)
        return warnings

    def choose(self, wish: DatapathKind | None) -> DatapathKind:
        """Return the wished-for kind or the default. NotCapableError if this host cannot have it."""
        kind = wish or self.default
        if kind not in self._ready:
            require(kind)
        return kind

    def capabilities(self, kind: DatapathKind) -> Capabilities:
        """Return what the kind's driver can do, connected or not."""
        return self._by_kind[kind].capabilities

    def put_on(self, workload: Workload, kind: DatapathKind) -> Workload:
        """Return the workload with this datapath, and with what its driver can do."""
        return replace(workload, datapath=kind, capabilities=self.capabilities(kind))

    def is_ready(self, kind: DatapathKind) -> bool:
        """Return whether the kind's driver has been connected."""
        return kind in self._ready

    def of(self, kind: DatapathKind) -> Driver:
        """Return the kind's driver, connected. NotCapableError names what the kernel lacks."""
        if kind not in self._ready:
            require(kind)
            self._by_kind[kind].connect()
            self._ready.add(kind)
            if kind is DatapathKind.EBPF:
                for port_id in self._u32.port_ids():
                    self._mark(port_id, elsewhere=True)
        return self._by_kind[kind]

    def hang_on_pair(self) -> None:
        """Install what all ports share on a bridge pair that was made anew."""
        for kind in self._ready:
            self._by_kind[kind].connect()

    def _mark(self, port_id: int, *, elsewhere: bool) -> None:
        """Tell ebpf, whose filter on vbr comes first, whether it leaves the port's frames to u32."""
        if DatapathKind.EBPF in self._ready:
            self._ebpf.mark_elsewhere(port_id, elsewhere=elsewhere)

    def write_owners(
        self,
        pairs: Mapping[int, PortPair],
        segments: Mapping[int, Segment],
        cidrs: Cidrs,
    ) -> None:
        """Tell ebpf, if it is connected, who owns which address and MAC, for the pairs of all datapaths.
        RefusedError if a map is full.
        """
        if DatapathKind.EBPF not in self._ready:
            return
        changes = self._owners.follow(pairs, segments)
        whole = self._cidrs is None
        if cidrs is not self._cidrs:
            changes |= network_changes(_networks(self._cidrs or {}), _networks(cidrs))
            self._cidrs = cidrs
        if changes or whole:
            self._ebpf.write_owners(changes, whole=whole)

    def attach(self, pair: PortPair, kind: DatapathKind) -> None:
        """Steer a pair by that datapath, which is connected if it is not yet."""
        driver = self.of(kind)
        if kind is DatapathKind.U32:
            self._mark(pair.port_id, elsewhere=True)
        driver.attach(pair)

    def holder(self, port_id: int, besides: DatapathKind) -> DatapathKind | None:
        """Return the other datapath that still has something of the port, or None."""
        for kind in self._ready - {besides}:
            if self._by_kind[kind].port_in_use(port_id):
                return kind
        return None

    def port_in_use(self, port_id: int) -> bool:
        """Return whether anything of such a port is left in the kernel."""
        return any(self._by_kind[kind].port_in_use(port_id) for kind in self._ready)

    def detach(self, port_id: int, kind: DatapathKind | None) -> None:
        """Detach the port from its datapath; from all datapaths if the kind is None."""
        for each in (kind,) if kind else tuple(self._ready):
            if each is DatapathKind.U32:
                # Do this first: a kill after it leaves a port that is found and detached later.
                self._mark(port_id, elsewhere=False)
            self._by_kind[each].detach(port_id)

    def hand_over(
        self, pair: PortPair, former: DatapathKind, latter: DatapathKind
    ) -> None:
        """Move a port to another datapath under traffic. The new rules exist before the old ones go, and both
        know the same UCMAC: frames that the engine holds from one are sent on by the other.
        """
        self.of(former)
        self.of(latter)
        self._u32.attach(pair)
        if latter is DatapathKind.U32:
            self._ebpf.detach(pair.port_id)
            self._mark(pair.port_id, elsewhere=True)
            self._u32.attach(pair)
        else:
            self._u32.step_aside(pair.port_id)
            self._ebpf.attach(pair)
            self._u32.detach(pair.port_id)

    def repair(
        self,
        pairs: Iterable[tuple[PortPair, DatapathKind]],
        touched: Collection[Touched] | None,
    ) -> tuple[list[str], list[str]]:
        """Repair drift on the ports that were touched (None: all); return a line for each difference, and for
        each repair that failed, which stops no other. Ports that are going away are skipped.
        """
        looks: dict[str, Callable[[], list[str]]] = {}
        if DatapathKind.U32 in self._ready and (
            touched is None or any(u32_plan.is_guard(one) for one in touched)
        ):
            looks["the guard"] = self._u32.repair_guard
        for port_id, kind in _touched(pairs, touched):
            looks[f"port {port_id}"] = partial(self._by_kind[kind].repair, port_id)
        found: list[str] = []
        failed: list[str] = []
        for what, repair in looks.items():
            try:
                found += repair()
            except NotFoundError:
                continue
            except (OSError, SegctlError) as error:
                failed.append(f"{what}: {error}")
        return found, failed

    def in_front(
        self,
        pairs: Iterable[tuple[PortPair, DatapathKind]],
        touched: Collection[Touched] | None,
    ) -> dict[int, list[str]]:
        """Return others' filters that frames meet before ours, by port, for the ports that were touched
        (None: all).
        """
        found = {}
        for port_id, kind in _touched(pairs, touched):
            with contextlib.suppress(NotFoundError):
                found[port_id] = self._by_kind[kind].in_front(port_id)
        return found

    def cleanup(self) -> None:
        """Remove everything of all datapaths."""
        for driver in self._by_kind.values():
            driver.cleanup()


def require(kind: DatapathKind) -> None:
    """Raise NotCapableError with what the kernel lacks for u32; the ebpf driver checks in `connect`."""
    lacks = u32_probe.missing() if kind is DatapathKind.U32 else None
    if lacks is not None:
        raise NotCapableError(
            f"steering with the {kind} datapath: {lacks}",
            state="nothing was touched",
            advice="`segctl doctor` says which modules the kernel lacks",
        )


def _touched(
    pairs: Iterable[tuple[PortPair, DatapathKind]],
    touched: Collection[Touched] | None,
) -> Iterator[tuple[int, DatapathKind]]:
    """Yield the ports that could have a rule where something was touched (None: anywhere)."""
    where = None if touched is None else {one.ifindex for one in touched}
    for pair, kind in pairs:
        # One attach touches one of a node's thousand ports: skip the others fast.
        ends = (*_BRIDGE, pair.vex_ifindex, pair.vin_ifindex)
        if where is not None and where.isdisjoint(ends):
            continue
        if touched is None or any(_is_of(pair, kind, one) for one in touched):
            yield pair.port_id, kind


def _is_of(pair: PortPair, kind: DatapathKind, touched: Touched) -> bool:
    """Return whether the port could have a rule at the touched place."""
    if kind is DatapathKind.U32:
        return u32_plan.is_of(pair, touched)
    if touched.ifindex in _BRIDGE:
        return touched.pref in (0, PRIORITY)
    return touched.ifindex in (pair.vex_ifindex, pair.vin_ifindex)


def _networks(cidrs: Cidrs) -> Iterator[IPv4Network | IPv6Network]:
    return (net for nets in cidrs.values() for net in nets)

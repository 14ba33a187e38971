"""The eBPF driver: filters on clsact, and everything else as map entries.

In: `model.PortPair`. Out: entries of the pinned maps, one filter per hook. I/O: bpf(2), rtnetlink.
Order is what keeps it closed: maps before filters on the way in, filters before maps on the way
out. A hook without a filter, and a filter that finds no entry, both end the frame.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pyctl import abi
from pyctl.datapath import foreign_filters, render
from pyctl.datapath.ebpf import worker_maps
from pyctl.datapath.ebpf.entries import address_keys, port_entries, reinject_value
from pyctl.datapath.ebpf.loader import ensure_loaded
from pyctl.datapath.maps import sum_counter
from pyctl.datapath.owners import Changes
from pyctl.datapath.pins import MAPS, PROGRAMS, open_map, pin_dir
from pyctl.errors import NotFoundError, RefusedError, SegctlError
from pyctl.model.instance import Instance
from pyctl.model.workload import Capabilities, Counter, DatapathKind, Mode, PortPair
from pyctl.platform.bpf import commands as bpf
from pyctl.platform.bpf.grace import wait_for_programs
from pyctl.platform.bpf.tc import BpfHooks, programs, remove_message, set_message
from pyctl.platform.tc.filters import Filter
from pyctl.platform.tc.messages import TC_H_EGRESS_HOOK, TC_H_INGRESS_HOOK
from pyctl.platform.tc.rule_sets import RuleSets

PRIORITY = 10001
OWNER_MAPS = ("seg_macs", "seg_owners", "seg_nets")
"""Entries are added in this order and deleted in the reverse one, because an address needs a MAC."""
HEARTBEAT_TIMEOUT_NS = 1_000_000_000
"""The engine writes its heartbeat at least every 100 ms; a busy node may delay it."""


@dataclass(frozen=True)
class _Hook:
    """A hook of a link, and the program that belongs there."""

    ifindex: int
    program: str
    side: int = TC_H_INGRESS_HOOK

    @property
    def way(self) -> str:
        """Return the direction in tc's word."""
        return "egress" if self.side == TC_H_EGRESS_HOOK else "ingress"


_BRIDGE_HOOKS = (
    _Hook(abi.constant("SEG_VBR_IFINDEX"), "seg_from_vbr"),
    _Hook(abi.constant("SEG_VTH_IFINDEX"), "seg_to_vth", TC_H_EGRESS_HOOK),
    _Hook(abi.constant("SEG_VTH_IFINDEX"), "seg_from_vth"),
)
"""The hooks that all pairs share."""


class EbpfDriver:
    """The eBPF driver of one instance. It holds no descriptor between calls: pins and the kernel are its
    state, so a driver made after a crash knows all that the former one knew.
    """

    kind: ClassVar = DatapathKind.EBPF
    capabilities: ClassVar = Capabilities(
        verdict_cache=True, fail_open=True, source_check=True
    )

    def __init__(self, instance: Instance, workers: int = 1) -> None:
        self.instance = instance
        self._workers = workers

    def connect(self) -> None:
        """Load the programs and hang them on the bridge pair (`base.Driver`). It compiles only if pins are
        missing or older than the sources; then attached pairs get the new programs too.
        """
        ensure_loaded(self.instance)
        worker_maps.keep(pin_dir(self.instance), self._workers)
        with self._map("seg_control") as control:
            self._set_control(control)
        with self._hooks() as hooks:
            for hook in _BRIDGE_HOOKS:
                hooks.add_clsact(hook.ifindex)
                self._hang(hooks, hook)
            for hook in self._attached_hooks():
                # Not the ifindex alone: after a new namespace, that may be another link. One that refuses
                # keeps the others from nothing: it refuses whoever steers its port, too.
                with contextlib.suppress(SegctlError):
                    if programs(hooks.filters(hook.ifindex, PRIORITY, hook.side)):
                        self._hang(hooks, hook)

    def cleanup(self) -> None:
        """Detach all ports and remove filters and pins (`base.Driver`)."""
        # Ask the file system: if bpf(2) is refused, nothing was ever pinned.
        if (pin_dir(self.instance) / "seg_ports").exists():
            for port_id in self._port_ids():
                self.detach(port_id)
        with contextlib.suppress(NotFoundError), self._hooks() as hooks:
            for hook in _BRIDGE_HOOKS:
                hooks.remove_program(hook.ifindex, PRIORITY, hook.side)
                hooks.remove_clsact_if_empty(hook.ifindex)
        pins = pin_dir(self.instance)
        for name in (*MAPS, *PROGRAMS):
            (pins / name).unlink(missing_ok=True)
        shutil.rmtree(self.instance.pin_root, ignore_errors=True)

    def attach(self, pair: PortPair) -> None:
        """Attach a pair (`base.Driver`). RefusedError if other live links have the port id."""
        self._take_over(pair)
        known = self._reinject_of(pair.port_id) is not None
        hooks_wanted = _pair_hooks(pair.vex_ifindex, pair.vin_ifindex)
        try:
            with RuleSets(self.instance.netns) as tc:
                for ifindex in (pair.vex_ifindex, pair.vin_ifindex):
                    tc.add_clsact(ifindex)
                self._write(pair)
                self._hang_all(tc, hooks_wanted)
        except BaseException:
            if not known:
                self._undo_attach(pair)
            raise

    def _undo_attach(self, pair: PortPair) -> None:
        self.detach(pair.port_id)
        # Detach cannot find the links if only the first steps were done.
        with contextlib.suppress(NotFoundError), self._hooks() as hooks:
            for ifindex in (pair.vex_ifindex, pair.vin_ifindex):
                hooks.remove_clsact_if_empty(ifindex)

    def detach(self, port_id: int) -> None:
        """Detach a port (`base.Driver`). The engine must forget the port before its id is used again;
        `port_in_use` tells whether anything is left.
        """
        if not pin_dir(self.instance).is_dir():
            return
        ifindexes = self._ifindexes(port_id)
        with contextlib.suppress(NotFoundError):
            self._take_down(ifindexes)
        self._erase(port_id, ifindexes)

    def mark_elsewhere(self, port_id: int, *, elsewhere: bool) -> None:
        """Mark or unmark a port as another datapath's, whose filters on vbr come after ours: its frames are
        passed on to them instead of being counted as frames of no port. Not for a port attached here.
        """
        flags = abi.constant("SEG_PORT_ELSEWHERE") if elsewhere else 0
        with self._map("seg_reinject") as reinject:
            reinject.update(
                _u32(port_id), abi.pack("seg_reinject_port", vex_flags=flags)
            )

    def update(self, pair: PortPair) -> None:
        """Update an attached pair (`base.Driver`). NotFoundError for a pair that is not attached."""
        back = self._reinject_of(pair.port_id)
        ends = (pair.vex_ifindex, pair.vin_ifindex)
        if back is None or (back.vex_ifindex, back.vin_ifindex) != ends:
            raise NotFoundError(
                f"port {pair.port_id} with interfaces {ends[0]} and {ends[1]} is not attached",
                advice="attach it first",
            )
        self._write(pair)

    def write_owners(self, changes: Changes, *, whole: bool) -> None:
        """Write who owns which address, MAC and network. `whole`: delete all other entries. If a map is full,
        the rest is still written; then RefusedError.
        """
        missed: set[str] = set()
        for name in reversed(OWNER_MAPS):
            with self._map(name) as opened:
                wanted = {
                    key: value for (of, key), value in changes.items() if of == name
                }
                stale = set(opened.entry_keys()) - wanted.keys() if whole else ()
                for key in (*stale, *(key for key in wanted if wanted[key] is None)):
                    opened.delete(key)
        for name in OWNER_MAPS:
            with self._map(name) as opened:
                for (of, key), value in changes.items():
                    if of == name and value and not _written(opened, key, value):
                        missed.add(name)
        if missed:
            raise RefusedError(
                f"{' and '.join(sorted(missed))} can take no more entries",
                state="what is in the name of those left out is not told from others'",
                advice="detach workloads that have very many addresses",
            )

    def publish(self, generations: Mapping[int, int]) -> None:
        """Publish the generations in seg_gens (`base.Driver`)."""
        with self._map("seg_gens") as gens:
            for port_id, generation in generations.items():
                gens.update(_u32(port_id), struct.pack("=Q", generation))

    def counters(self, port_id: int) -> Mapping[str, Counter]:
        """Return the port's counters (`base.Driver`). Port 0: frames that belonged to no pair."""
        found: dict[str, Counter] = {}
        with self._map("seg_counters") as counters:
            for reason in abi.REASONS:
                values = counters.lookup_percpu(_counter_key(port_id, reason.number))
                total = sum_counter(values)
                if total.packets:
                    found[reason.name] = total
        return found

    def rules(self, port_id: int) -> list[str]:
        """Return the port's filters, its map entries and its missing filters (`base.Driver`). NotFoundError
        for a port that is not attached.
        """
        lines: list[str] = []
        with self._hooks() as tc:
            wanted = self._hooks_of(port_id)
            for hook in wanted:
                found = programs(tc.filters(hook.ifindex, hook=hook.side))
                name = tc.name_of(hook.ifindex)
                lines += render.filters(name, hook.ifindex, hook.way, found)
            missing = [_told(tc, one) for one in _missing(tc, wanted)]
        lines += render.entries(self.instance, port_id)
        lines += self.in_front(port_id)
        return lines + (missing or ["held as intended"])

    def repair(self, port_id: int) -> list[str]:
        """Restore missing filters (`base.Driver`). Maps need none: others cannot reach them."""
        with self._hooks() as hooks:
            missing = _missing(hooks, self._hooks_of(port_id))
            told = [_told(hooks, hook) for hook in missing]
            for hook in missing:
                hooks.add_clsact(hook.ifindex)
                self._hang(hooks, hook)
        return told

    def in_front(self, port_id: int) -> list[str]:
        """Return others' filters before ours on vex and vin, a line each (`base.Driver`)."""
        lines = []
        with self._hooks() as tc:
            for hook in self._hooks_of(port_id):
                if hook not in _BRIDGE_HOOKS:
                    name = tc.name_of(hook.ifindex) or f"({hook.ifindex})"
                    found = tc.filters(hook.ifindex, hook=hook.side)
                    lines += foreign_filters.in_front(
                        name, found, PRIORITY + 1, _is_ours
                    )
        return lines

    def port_in_use(self, port_id: int) -> bool:
        """Return whether a map still holds something of the port that a new owner of the id would inherit. No
        map that grows with the node is walked for this:

        - Flows (seg_flows4, seg_flows6): one hits only with the generation that seg_gens has for
          the port. That is 0 from the detach to the next owner's first policy, and then a number
          that no flow has, as generations never repeat. So what is left of a port is inherited by
          nobody. It does not stay either: the engine, which has a session for each entry, takes it out when
          it forgets the port, and a new engine empties them. A walk over them for each detach would
          cost half a second with 200,000 flows open.
        - Services (seg_services): the same holds for them, but nobody deletes one. The map is an LRU hash.
        - Addresses (seg_addrs): attaching leaves the port with its own and no others.
        """
        if not pin_dir(self.instance).is_dir():
            return False
        if self._reinject_of(port_id) is not None:
            return True
        with self._map("seg_gens") as gens:
            if any(gens.lookup(_u32(port_id)) or b""):
                return True
        with self._map("seg_counters") as counters:
            return any(
                counters.lookup(_counter_key(port_id, reason.number)) is not None
                for reason in abi.REASONS
            )

    # -- the kernel's state ---------------------------------------------------------------

    def _map(self, name: str) -> bpf.Map:
        return open_map(self.instance, name)

    def _hooks(self) -> BpfHooks:
        return BpfHooks(self.instance.netns)

    def _hang(self, hooks: BpfHooks, hook: _Hook) -> None:
        with bpf.Program.open(pin_dir(self.instance) / hook.program) as program:
            hooks.set_program(
                hook.ifindex, PRIORITY, program.fd, hook.program, hook.side
            )

    def _hang_all(self, tc: RuleSets, hooks: list[_Hook]) -> None:
        """Set the filters of all these hooks in one write: while it is attached, a workload is cut off."""
        with contextlib.ExitStack() as stack:
            wanted = []
            for hook in hooks:
                path = pin_dir(self.instance) / hook.program
                program = stack.enter_context(bpf.Program.open(path))
                place = (hook.ifindex, PRIORITY, program.fd, hook.program, hook.side)
                wanted.append(set_message(*place))
            tc.send("attaching the programs", wanted)

    def _take_down(self, ifindexes: list[int]) -> None:
        """Remove our filters from those of these links that still exist. NotFoundError if the namespace is gone."""
        with RuleSets(self.instance.netns) as tc:
            # Egress goes first: frames of another datapath have no mark that it would know.
            gone = [
                remove_message(ifindex, PRIORITY, side)
                for side in (TC_H_EGRESS_HOOK, TC_H_INGRESS_HOOK)
                for ifindex in ifindexes
            ]
            tc.try_each("removing our filters", gone)
            for ifindex in ifindexes:
                tc.remove_clsact_if_empty(ifindex)

    def _hooks_of(self, port_id: int) -> list[_Hook]:
        """Return the hooks that a port needs; NotFoundError if it is not attached."""
        back = self._reinject_of(port_id)
        if back is None:
            raise NotFoundError(f"port {port_id} is not attached with ebpf")
        return [
            *_pair_hooks(back.vex_ifindex, back.vin_ifindex),
            *_BRIDGE_HOOKS,
        ]

    def _reinject_of(self, port_id: int) -> Any | None:
        with self._map("seg_reinject") as reinject:
            back = abi.unpack(
                "seg_reinject_port", reinject.lookup(_u32(port_id)) or b""
            )
        return back if back.vex_ifindex else None

    def _attached_hooks(self) -> list[_Hook]:
        vex = abi.constant("SEG_ROLE_VEX")
        with self._map("seg_ports") as ports:
            return [
                hook
                for key, value in ports.entries()
                if (port := abi.unpack("seg_port", value)).role == vex
                for hook in _pair_hooks(struct.unpack("=I", key)[0], port.peer_ifindex)
            ]

    def _port_ids(self) -> set[int]:
        with self._map("seg_ports") as ports:
            return {
                abi.unpack("seg_port", value).port_id for _, value in ports.entries()
            }

    def _ifindexes(self, port_id: int) -> list[int]:
        """Return the interfaces that the maps give to the port. No walk over seg_ports, which has those of
        the whole node: each port in it is in seg_reinject too, which is written first and emptied last.
        """
        back = self._reinject_of(port_id)
        if back is None:
            return []
        with self._map("seg_ports") as ports:
            return [
                ifindex
                for ifindex in sorted({back.vex_ifindex, back.vin_ifindex})
                if (value := ports.lookup(_u32(ifindex)))
                and abi.unpack("seg_port", value).port_id == port_id
            ]

    def _take_over(self, pair: PortPair) -> None:
        """Detach stale ports that hold the pair's ifindexes or id. RefusedError if the id's former links
        still exist.
        """
        ends = (pair.vex_ifindex, pair.vin_ifindex)
        with self._map("seg_ports") as ports:
            values = [ports.lookup(_u32(ifindex)) for ifindex in ends]
        holders = {abi.unpack("seg_port", value).port_id for value in values if value}
        for port_id in holders - {pair.port_id}:
            self.detach(port_id)
        former = set(self._ifindexes(pair.port_id)) - set(ends)
        if not former:
            return
        with self._hooks() as tc:
            alive = sorted(one for one in former if tc.name_of(one) is not None)
        if alive:
            raise RefusedError(
                f"port {pair.port_id} belongs to interfaces {alive}, not to {ends[0]} and "
                f"{ends[1]}",
                advice="detach it first",
            )
        self.detach(pair.port_id)

    # -- writing --------------------------------------------------------------------------

    def _set_control(self, control: bpf.Map) -> None:
        # Write through memory: a whole entry could set an engine's heartbeat back.
        with control.mmap(write=True) as memory:
            timeout_at, workers_at = (
                abi.ffi.offsetof("struct seg_control", name)
                for name in ("heartbeat_timeout_ns", "workers")
            )
            for worker in range(self._workers):
                at = worker * control.slot_bytes + timeout_at
                struct.pack_into("=I", memory, at, HEARTBEAT_TIMEOUT_NS)
            struct.pack_into("=I", memory, workers_at, self._workers)

    def _write(self, pair: PortPair) -> None:
        """Write the pair's map entries. New addresses come first: without them the workload's own frames
        would be called spoofed; old addresses go last. Quarantine is written before any of them.
        """
        if pair.mode is Mode.QUARANTINE:
            self._write_port(pair)
        wanted = address_keys(pair)
        owner = pair.owner or pair.port_id
        with self._map("seg_addrs") as addrs:
            held = set(addrs.keys_from(_u16(owner)))
            for key in wanted - held:
                addrs.update(key, b"\1")
        self._write_port(pair)
        with self._map("seg_addrs") as addrs:
            for key in held - wanted:
                addrs.delete(key)

    def _write_port(self, pair: PortPair) -> None:
        with self._map("seg_reinject") as reinject:
            reinject.update(_u32(pair.port_id), reinject_value(pair))
        with self._map("seg_ports") as ports:
            for key, value in port_entries(pair):
                ports.update(key, value)

    def _erase(self, port_id: int, ifindexes: list[int]) -> None:
        with self._map("seg_gens") as gens:
            gens.update(_u32(port_id), bytes(8))
        with self._map("seg_ports") as ports:
            for ifindex in ifindexes:
                ports.delete(_u32(ifindex))
        with self._map("seg_reinject") as reinject:
            reinject.update(_u32(port_id), bytes(abi.sizeof("seg_reinject_port")))
        # Programs that run right now may still count for the port; where they cannot be waited
        # for, `port_in_use` finds what they left.
        with contextlib.suppress(SegctlError):
            wait_for_programs()
        # An owner's other ports say by whom the addresses are held next, in their next update.
        with self._map("seg_addrs") as addrs:
            for key in addrs.keys_from(_u16(port_id)):
                addrs.delete(key)
        with self._map("seg_counters") as counters:
            for reason in abi.REASONS:
                counters.delete(_counter_key(port_id, reason.number))


def _pair_hooks(vex: int, vin: int) -> list[_Hook]:
    """Return the hooks of one pair. Hooks that set the mark come before hooks that check it, because a port
    that comes from another datapath carries traffic.
    """
    return [
        _Hook(vex, "seg_from_vex"),
        _Hook(vin, "seg_from_vin"),
        _Hook(vex, "seg_to_port", TC_H_EGRESS_HOOK),
        _Hook(vin, "seg_to_port", TC_H_EGRESS_HOOK),
    ]


def _is_ours(one: Filter) -> bool:
    # A filter with another handle is not ours: the newest of a priority comes first.
    return (one.kind, one.pref) == ("bpf", PRIORITY) and one.handle in (0, 1)


def _told(tc: BpfHooks, hook: _Hook) -> str:
    name = tc.name_of(hook.ifindex)
    return render.missing(name, hook.ifindex, hook.way, PRIORITY, hook.program)


def _missing(tc: BpfHooks, wanted: list[_Hook]) -> list[_Hook]:
    # Read our priority only: vbr has the u32 rules of a whole node.
    held = {
        hook: {
            one.name for one in programs(tc.filters(hook.ifindex, PRIORITY, hook.side))
        }
        for hook in wanted
    }
    return [hook for hook in wanted if hook.program not in held[hook]]


def _u16(value: int) -> bytes:
    return struct.pack("=H", value)


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _counter_key(port_id: int, reason: int) -> bytes:
    return abi.pack("seg_counter_key", port_id=port_id, reason=reason)


def _written(opened: bpf.Map, key: bytes, value: bytes) -> bool:
    """Write the entry; return False if the map has no room."""
    try:
        opened.update(key, value)
    except SegctlError as error:
        if error.errno not in {errno.E2BIG, errno.ENOSPC, errno.ENOMEM}:
            raise
        return False
    return True

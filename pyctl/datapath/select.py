"""Which datapath this host can have, found out by trying, never by version.

In: a wish. Out: a driver, or the reasons why not. I/O: bpf(2), the file system.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from pyctl.datapath.base import Driver
from pyctl.datapath.ebpf import EbpfDriver
from pyctl.datapath.pins import MAPS
from pyctl.errors import NotCapableError, NotPermittedError, SegctlError, UsageError
from pyctl.model.instance import Instance
from pyctl.model.workload import DatapathKind
from pyctl.platform import bpf, bpf_fs

AUTO = "auto"


@dataclass(frozen=True)
class Capability:
    """One thing that the eBPF datapath needs."""

    name: str
    ok: bool
    detail: str
    """What was seen, or what to do."""


def capabilities() -> list[Capability]:
    """Each is probed without leaving anything behind; works (and says no) without root."""
    found = [_bcc()]
    found += [
        _map(kind) for kind in ("seg_flows4", "seg_counters", "seg_gens", "seg_events")
    ]
    found.append(_bpffs())
    return found


def choose(wish: str, instance: Instance) -> Driver:
    """The driver for `auto`, `ebpf` or `u32`.

    NotCapableError names what is missing, NotPermittedError a missing privilege, UsageError
    another word.
    """
    if wish not in (AUTO, *DatapathKind):
        raise UsageError(f"there is no datapath {wish}", advice="auto, ebpf or u32")
    if wish == DatapathKind.U32:
        raise NotCapableError(
            "the u32 datapath comes with the classic path", advice="use --datapath ebpf"
        )
    missing = [one for one in capabilities() if not one.ok]
    if missing:
        raise NotCapableError(
            "the eBPF datapath cannot be had here",
            state="; ".join(f"{one.name}: {one.detail}" for one in missing),
            advice="see `segctl doctor`",
        )
    return EbpfDriver(instance)


def _bcc() -> Capability:
    # Found, not imported: that would cost the caller 70 MB.
    spec = importlib.util.find_spec("bcc")
    if spec is None:
        return Capability(
            "bcc", ok=False, detail="install python3-bpfcc (scripts/bootstrap)"
        )
    return Capability("bcc", ok=True, detail=str(spec.origin))


def _map(name: str) -> Capability:
    title = f"BPF map {name}"
    layout = MAPS[name]
    small = layout if name == "seg_events" else _shrunk(layout)
    try:
        with bpf.Map.create(name, small):
            return Capability(title, ok=True, detail="can be made")
    except NotPermittedError as error:
        return Capability(title, ok=False, detail=str(error))
    except SegctlError as error:
        return Capability(title, ok=False, detail=str(error))


def _shrunk(layout: bpf.MapLayout) -> bpf.MapLayout:
    return bpf.MapLayout(
        layout.map_type, layout.key_size, layout.value_size, 16, layout.flags
    )


def _bpffs() -> Capability:
    if bpf_fs.is_mounted():
        return Capability("bpf file system", ok=True, detail=f"at {bpf_fs.BPFFS}")
    if bpf_fs.BPFFS.is_dir():
        return Capability("bpf file system", ok=True, detail="will be mounted")
    return Capability("bpf file system", ok=False, detail=f"{bpf_fs.BPFFS} is missing")

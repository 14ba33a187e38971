"""Which datapath steers a workload: the one place that knows which drivers there are.

In: a kind. Out: the class of its driver, or why this host cannot have it. I/O: a probe of its own
process for u32, which tries a whole ruleset in a scratch namespace; what ebpf lacks, its driver's
`connect` says.
"""

from __future__ import annotations

from pyctl.datapath.ebpf.driver import EbpfDriver
from pyctl.datapath.u32 import probe as u32_probe
from pyctl.datapath.u32.driver import U32Driver
from pyctl.errors import NotCapableError
from pyctl.model.workload import DatapathKind

DRIVERS = {DatapathKind.EBPF: EbpfDriver, DatapathKind.U32: U32Driver}
"""The preferred one first."""


def require(kind: DatapathKind) -> None:
    """NotCapableError names what the kernel lacks for a datapath."""
    lacks = u32_probe.missing() if kind is DatapathKind.U32 else None
    if lacks is not None:
        raise NotCapableError(
            f"steering with the {kind} datapath: {lacks}",
            state="nothing was touched",
            advice="`segctl doctor` says which modules the kernel lacks",
        )

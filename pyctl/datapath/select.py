"""Which datapath steers a workload: the one place that knows which drivers there are.

In: a wish. Out: a kind of datapath, and the class of its driver. I/O: none.
What this host allows is not asked here: `segctl doctor` tries that (platform.probe), and a driver's
`connect` says what failed.
"""

from __future__ import annotations

from pyctl.datapath.ebpf import EbpfDriver
from pyctl.errors import NotCapableError
from pyctl.model.workload import DatapathKind

DRIVERS = {DatapathKind.EBPF: EbpfDriver}
"""The preferred one first."""


def choose(wish: DatapathKind | None = None) -> DatapathKind:
    """What is wished for, and for None (auto) the preferred one.

    NotCapableError where this version brings no driver for it.
    """
    if wish is None:
        return next(iter(DRIVERS))
    if wish not in DRIVERS:
        raise NotCapableError(
            f"attaching with the {wish} datapath",
            state="nothing was touched",
            advice=f"this version steers with {', '.join(DRIVERS)} only",
        )
    return wish

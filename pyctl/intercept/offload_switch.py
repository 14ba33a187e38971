"""A workload without offloads, as NeuVector has all of them: kept for comparison.

In: an instance, a port, whether its offloads are on. Out: nothing. I/O: ioctl(2) in two namespaces.
Off, the workload cuts and sums what it sends by itself, and vbr-neuv what goes to the engine: so
that every frame there is of the size of a wire's. The workload's original interface and its host
peer are never touched: it says what to go back to, so nothing has to be remembered.
"""

from __future__ import annotations

from pyctl.intercept import gso
from pyctl.intercept.attach import Handles
from pyctl.intercept.enforcer import VBR, VTH
from pyctl.intercept.kinds.choose import kind_of
from pyctl.model.instance import Instance
from pyctl.model.workload import Offload, Port
from pyctl.platform import netns, offloads
from pyctl.platform.netlink.links import Link


def _sends(feature: str) -> bool:
    """Return whether a device with this feature is handed frames that are not ready for a wire.

    On most kernels, switching checksums off would take the other features away; naming them works on all.
    """
    heads = ("tx-checksum", "tx-scatter-gather", "tx-gso")
    return feature.startswith(heads) or "segmentation" in feature


def _sends_or_receives(feature: str) -> bool:
    return _sends(feature) or feature == "rx-checksum"


def switch(ends: Handles, link: Link, port: Port, offload: Offload) -> None:
    """Switch the offloads of `link`, ours inside the workload. OSError if the kernel refuses.

    ON changes nothing if any of them is on: then the workload itself has chosen since.
    """
    with netns.entered(ends.enforcer_fd):
        model = offloads.requested(kind_of(port.kind).offload_model(port))
    with netns.entered(ends.workload_fd):
        mask = offloads.mask(link.name, _sends_or_receives)
        now = offloads.requested(link.name)
        if offload is Offload.OFF:
            model = (0,) * len(mask)
        elif any(have & bits for have, bits in zip(now, mask, strict=False)):
            return
        offloads.request(link.name, _merged(now, model, mask))


def switch_bridge(instance: Instance, offload: Offload) -> None:
    """Switch the offloads with which vbr-neuv sends. ON copies those of vth-neuv, which is never changed,
    without those that vbr-neuv must not offer.
    """
    with netns.opened(instance.netns) as fd, netns.entered(fd):
        mask = _merged(
            offloads.mask(VBR, _sends), (0,) * offloads.WORDS, gso.inexpressible(VBR)
        )
        off = (0,) * len(mask)
        model = off if offload is Offload.OFF else offloads.requested(VTH)
        offloads.request(VBR, _merged(offloads.requested(VBR), model, mask))


def _merged(
    now: tuple[int, ...], model: tuple[int, ...], mask: tuple[int, ...]
) -> tuple[int, ...]:
    """Return `model` under the mask, and `now` elsewhere."""
    return tuple(
        (have & ~bits) | (want & bits)
        for have, want, bits in zip(now, model, mask, strict=False)
    )

"""nftables chains and flowtables that hang on one device.

In: a namespace's descriptor, an interface's name. Out: their names. I/O: NETLINK_NETFILTER, in that namespace.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from pyctl.platform.netfilter.conntrack import NETLINK_NETFILTER
from pyctl.platform.netlink.raw import RawNetlink, attrs, iter_attrs, text
from pyctl.platform.netns import entered

NFT_MSG_GETCHAIN, NFT_MSG_GETFLOWTABLE = 0xA04, 0xA17
NFTA_TABLE, NFTA_CHAIN_NAME, NFTA_FLOWTABLE_NAME = 1, 3, 2
NFTA_CHAIN_HOOK, NFTA_HOOK_DEV, NFTA_HOOK_DEVS = 4, 3, 4
NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_HOOK_DEVS = 3, 3
BOUND_BY_NAME = (6, 16)
"""From this kernel on a chain waits for a device of the name, and takes the next one."""


def lost_hooks(netns_fd: int, interface: str) -> tuple[str, ...]:
    """Return the chains and flowtables that would be gone for good with this device; none if the kernel binds
    them by name.
    """
    return () if _kernel() >= BOUND_BY_NAME else hooks(netns_fd, interface)


def hooks(netns_fd: int, interface: str) -> tuple[str, ...]:
    """Return all hooks on the interface, as `chain TABLE NAME`; none on a kernel without nftables."""
    with contextlib.suppress(OSError):
        with entered(netns_fd):
            nl = RawNetlink(protocol=NETLINK_NETFILTER)
        with nl:
            chains = nl.dump(NFT_MSG_GETCHAIN, bytes(4))
            flowtables = nl.dump(NFT_MSG_GETFLOWTABLE, bytes(4))
        found = [
            f"chain {name}"
            for name in _on(chains, interface, NFTA_CHAIN_NAME, chain_devices)
        ]
        tables = _on(flowtables, interface, NFTA_FLOWTABLE_NAME, flowtable_devices)
        return (*found, *(f"flowtable {name}" for name in tables))
    return ()


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


def _on(
    bodies: list[bytes],
    interface: str,
    name: int,
    devices: Callable[[bytes], Iterator[str]],
) -> Iterator[str]:
    """Yield table and name of each object that has the interface among its devices."""
    for body in bodies:
        if interface in devices(body):
            # The attributes follow a nfgenmsg.
            found = attrs(body[4:])
            yield f"{text(found.get(NFTA_TABLE))} {text(found.get(name))}"


def chain_devices(body: bytes) -> Iterator[str]:
    """Yield the devices that a chain of the netdev or inet family hangs on."""
    hook = attrs(attrs(body[4:]).get(NFTA_CHAIN_HOOK, b""))
    if NFTA_HOOK_DEV in hook:
        yield text(hook[NFTA_HOOK_DEV])
    yield from _names(hook.get(NFTA_HOOK_DEVS, b""))


def flowtable_devices(body: bytes) -> Iterator[str]:
    """Yield the devices of a flowtable."""
    hook = attrs(attrs(body[4:]).get(NFTA_FLOWTABLE_HOOK, b""))
    yield from _names(hook.get(NFTA_FLOWTABLE_HOOK_DEVS, b""))


def _names(data: bytes) -> Iterator[str]:
    for _kind, raw in iter_attrs(data):
        yield text(raw)

"""Chains and flowtables are known by their devices, as the kernel shows them."""

from __future__ import annotations

import pytest

from pyctl.platform.netfilter import nftables
from pyctl.platform.netlink.raw import attr_text, nest

NETDEV, INET = bytes([5, 0, 0, 0]), bytes([1, 0, 0, 0])


def chain(*devices: bytes) -> bytes:
    return (
        NETDEV
        + attr_text(nftables.NFTA_TABLE, "filter")
        + attr_text(nftables.NFTA_CHAIN_NAME, "early")
        + nest(nftables.NFTA_CHAIN_HOOK, *devices)
    )


def test_a_chain_of_one_device_and_of_several() -> None:
    one = chain(attr_text(nftables.NFTA_HOOK_DEV, "eth0"))
    names = attr_text(1, "eth0") + attr_text(1, "eth1")
    several = chain(nest(nftables.NFTA_HOOK_DEVS, names))
    assert list(nftables.chain_devices(one)) == ["eth0"]
    assert list(nftables.chain_devices(several)) == ["eth0", "eth1"]


def test_a_chain_of_another_family_has_none() -> None:
    body = INET + attr_text(nftables.NFTA_CHAIN_NAME, "input")
    assert list(nftables.chain_devices(body)) == []


def test_a_flowtable_s_devices() -> None:
    devices = nest(nftables.NFTA_FLOWTABLE_HOOK_DEVS, attr_text(1, "eth0"))
    body = INET + nest(nftables.NFTA_FLOWTABLE_HOOK, devices)
    assert list(nftables.flowtable_devices(body)) == ["eth0"]


@pytest.mark.parametrize(("kernel", "lost"), [((6, 12), 1), ((6, 16), 0), ((7, 0), 0)])
def test_a_kernel_that_binds_by_name_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, kernel: tuple[int, int], lost: int
) -> None:
    monkeypatch.setattr(nftables, "_kernel", lambda: kernel)
    monkeypatch.setattr(nftables, "hooks", lambda *_: ("chain filter early",))
    assert len(nftables.lost_hooks(0, "eth0")) == lost

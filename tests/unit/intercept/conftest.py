"""Snapshots without a kernel."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pyctl.intercept.restore.snapshot import Snapshot
from pyctl.platform.netlink import l3
from pyctl.platform.netlink.links import IFF_LOOPBACK, IFF_UP, Link
from tests import packets
from tests.unit.intercept.played import Kernel
from tests.unit.intercept.spaces import address

ETH0 = Link(
    index=2,
    name="eth0",
    flags=IFF_UP,
    kind="veth",
    mac=packets.pod_one_mac,
    mtu=1500,
    txqlen=1000,
    group=0,
    alias="",
    master=0,
    link=9,
    link_nsid=0,
    queues=(1, 1),
    sizes=((41, 65536),),
    addr_gen_mode=0,
    token="",
    altnames=("uplink",),
    xdp=False,
)
LO = replace(ETH0, index=1, name="lo", flags=IFF_UP | IFF_LOOPBACK, kind="", link=0)


@pytest.fixture
def snapshot() -> Snapshot:
    """Name: snapshot. Scope: function. Depends: nothing. eth0 with one address of each
    family and a link-local one, a default route, lo up and bare."""
    return Snapshot(
        link=ETH0,
        addresses=(
            address(packets.pod_one_ip4, packets.prefix_ip4),
            address(packets.link_local_ip6, 64, scope=253),
            address(packets.pod_one_ip6, packets.prefix_ip6),
        ),
        routes=(l3.default_route(socket.AF_INET, 2, 100, 1500),),
        nexthops=(),
        rules=(),
        neighbours=(),
        sysctls={"ipv4/conf/rp_filter": "2"},
        defaults={"ipv4/conf/rp_filter": "0"},
        loopback=LO,
        loopback_addresses=(),
    )


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    """Name: kernel. Scope: function. Depends: no root. A pod with eth0, on a kernel that is played."""
    found = Kernel(tmp_path / "kernel")
    found.play(monkeypatch)
    return found


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Kernel]:
    """Name: kernels. Scope: function. Depends: no root. Makes another such kernel at each call, which takes the
    place of the one before."""
    numbers = itertools.count()

    def another() -> Kernel:
        found = Kernel(tmp_path / str(next(numbers)))
        found.play(monkeypatch)
        return found

    return another

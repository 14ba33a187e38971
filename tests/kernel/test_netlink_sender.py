"""Another process with CAP_NET_ADMIN cannot answer for the kernel, neither to the raw client nor to pyroute2's."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest

from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import IprouteClient
from pyctl.platform.netlink import raw
from pyctl.platform.netlink.raw import RawNetlink, kernel_socket
from pyctl.platform.watch.changes import RTMGRP_LINK


def ack(number: int) -> bytes:
    return struct.pack("=IHHIIi", 36, raw.NLMSG_ERROR, 0, number, 0, 0) + bytes(16)


PYROUTE2_FIRST = 255
"""The number of a pyroute2 socket's first question: anybody can guess it."""


@pytest.fixture
def stranger():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as made:
        made.bind((0, 0))
        yield made


def port_of(client: IprouteClient | RawNetlink) -> int:
    made = client._sock if isinstance(client, RawNetlink) else client._ip.socket
    return int(made.getsockname()[0])


@pytest.mark.parametrize("client", [RawNetlink, IprouteClient])
def test_unicast_of_others_is_refused(stranger, client):
    with client() as ours, pytest.raises(ConnectionRefusedError):
        stranger.sendto(ack(PYROUTE2_FIRST), (port_of(ours), 0))


def test_multicast_of_others_is_thrown_away(stranger):
    with kernel_socket(RTMGRP_LINK) as ours:
        stranger.sendto(ack(2), (0, RTMGRP_LINK))
        assert raw.receive(ours, socket.MSG_DONTWAIT) == b""


def change_by_hand(client: RawNetlink) -> None:
    client.request(16, struct.pack("=BxHiII", 0, 0, 4711, 0, 0))


def change_by_pyroute2(client: IprouteClient) -> None:
    links.change(client, 4711, up=True)


@pytest.mark.parametrize(
    ("client", "number", "change"),
    [
        (RawNetlink, 2, change_by_hand),
        (IprouteClient, PYROUTE2_FIRST, change_by_pyroute2),
    ],
)
def test_an_answer_that_came_first_is_not_taken(
    stranger, monkeypatch, client, number: int, change: Callable
):
    """As if it had slipped in before the socket was connected, with the right number."""
    monkeypatch.setattr(raw, "kernel_socket", unconnected)
    monkeypatch.setattr(raw.secrets, "randbelow", lambda _: 1)
    with client() as asked:
        stranger.sendto(ack(number), (port_of(asked), 0))
        with pytest.raises(raw.NetlinkError, match="No such device"):
            change(asked)


def test_the_forged_answer_would_have_been_taken(stranger, monkeypatch):
    """By pyroute2 as it is: the test above tests something."""
    monkeypatch.setattr(raw, "kernel_socket", unconnected)
    monkeypatch.setattr(raw, "KERNEL", stranger.getsockname()[0])
    with IprouteClient() as asked:
        stranger.sendto(ack(PYROUTE2_FIRST), (port_of(asked), 0))
        change_by_pyroute2(asked)


def unconnected(groups: int = 0, protocol: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, protocol)
    made.bind((0, groups))
    return made

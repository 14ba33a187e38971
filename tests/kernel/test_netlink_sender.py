"""Another process with CAP_NET_ADMIN cannot answer for the kernel."""

from __future__ import annotations

import socket
import struct

import pytest

from pyctl.platform.netlink import raw as netlink
from pyctl.platform.netlink.raw import RawNetlink, kernel_socket
from pyctl.platform.watch.changes import RTMGRP_LINK

ACK = struct.pack("=IHHIIi", 36, netlink.NLMSG_ERROR, 0, 2, 0, 0) + bytes(16)


@pytest.fixture
def stranger():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as made:
        made.bind((0, 0))
        yield made


def test_unicast_of_others_is_refused(stranger):
    with kernel_socket() as ours, pytest.raises(ConnectionRefusedError):
        stranger.sendto(ACK, (ours.getsockname()[0], 0))


def test_multicast_of_others_is_thrown_away(stranger):
    with kernel_socket(RTMGRP_LINK) as ours:
        stranger.sendto(ACK, (0, RTMGRP_LINK))
        assert netlink.receive(ours, socket.MSG_DONTWAIT) == b""


def test_an_answer_that_came_first_is_not_taken(stranger, monkeypatch):
    """As if it had slipped in before the socket was connected, with the right number."""
    monkeypatch.setattr(netlink, "kernel_socket", unconnected)
    monkeypatch.setattr(netlink.secrets, "randbelow", lambda _: 1)
    with RawNetlink() as asked:
        stranger.sendto(ACK, (asked._sock.getsockname()[0], 0))
        with pytest.raises(netlink.NetlinkError, match="No such device"):
            asked.request(16, struct.pack("=BxHiII", 0, 0, 4711, 0, 0))


def unconnected(groups: int = 0, protocol: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    made.bind((0, groups))
    return made

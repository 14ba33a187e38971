"""Both ways to the TCP sockets of a namespace tell the same."""

from __future__ import annotations

import os
import socket

import pytest

from pyctl.platform.netlink.raw import NetlinkError
from pyctl.platform.process import process_ref
from pyctl.platform.sockets import tcp as tcp_sockets
from pyctl.platform.sockets.listeners import listening_ports
from pyctl.platform.sockets.tcp import LISTEN, OPEN, tcp_ports
from tests import packets


@pytest.mark.parametrize("inet_diag", [True, False])
@pytest.mark.parametrize("host", [packets.loopback_ip4, packets.loopback_ip6])
def test_listeners_and_connections_are_found_by_their_ports(
    host: str, inet_diag: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_states: int) -> list[tuple[int, int]]:
        raise NetlinkError(2, "no inet_diag")

    if not inet_diag:
        monkeypatch.setattr(tcp_sockets, "_told_by_kernel", refused)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        assert port in listening_ports(process_ref(os.getpid()))
        with socket.create_connection((host, port)) as client:
            mine = client.getsockname()[1]
            found = tcp_ports(OPEN)
            assert {(mine, port), (port, mine), (port, 0)} <= set(found)
            assert mine not in {local for local, _ in tcp_ports(LISTEN)}
    assert port not in listening_ports(process_ref(os.getpid()))


def test_who_is_gone_listens_nowhere() -> None:
    gone = process_ref(os.getpid())
    assert listening_ports(type(gone)(2**22 + 1, 1, gone.netns)) == ()

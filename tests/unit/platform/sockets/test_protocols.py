"""Routing protocols and packet sockets, from what /proc/net shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.platform.sockets import protocols as sockets


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name: proc. Scope: function. A /proc/net with what a test puts there."""
    monkeypatch.setattr(sockets, "NET", tmp_path)
    monkeypatch.setattr(sockets, "tcp_ports", lambda _states: [(22, 0)])
    return tmp_path


def table(path: Path, *ends: str) -> None:
    lines = [f"  {at}: {end} 00000000:0000 0A" for at, end in enumerate(ends)]
    path.write_text("\n".join(["  sl  local_address", *lines, ""]))


def test_protocols_are_known_by_their_ports(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sockets, "tcp_ports", lambda _states: [(22, 40000), (40001, 179)]
    )
    table(proc / "udp", "00000000:0EC8")
    table(proc / "raw", "00000000:0059")
    assert sockets.routing_protocols() == ("BFD", "BGP", "OSPF")


def test_who_speaks_none_has_none(proc: Path) -> None:
    table(proc / "udp", "00000000:0050")
    assert sockets.routing_protocols() == ()


def test_packet_sockets_count_where_they_are_bound(proc: Path) -> None:
    lines = ["sk RefCnt Type Proto Iface R Rmem User Inode"]
    lines += [f"0000 3 3 0003 {index} 1 0 0 77" for index in (2, 0, 2, 7)]
    (proc / "packet").write_text("\n".join([*lines, ""]))
    assert sockets.packet_sockets(2) == 2
    assert sockets.packet_sockets(3) == 0

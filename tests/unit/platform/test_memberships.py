"""Groups of an interface, and sockets that join again what the kernel has forgotten of them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pyctl.platform import memberships
from tests import packets

IGMP = """Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
2\teth0      :     2      V3
\t\t\t\t030202E0     1 0:00000000\t\t0
\t\t\t\t010000E0     1 0:00000000\t\t0
"""
IGMP6 = """1    lo              ff020000000000000000000000000001     1 0000000C 0
2    eth0            ff0200000000000000000001ff000001     1 0000000C 0
2    eth0            ff0e0000000000000000000000001234     1 00000004 0
"""


@pytest.mark.parametrize(
    "name", [b"eth0      ", b"a-name-of-15-ch", b"\xff\x85\x1c     "]
)
def test_groups_that_the_kernel_joins_by_itself_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    monkeypatch.setattr(memberships, "NET", tmp_path)
    # Interfaces may be called by any bytes, and by as many as the column has room for and more.
    (tmp_path / "igmp").write_bytes(IGMP.encode().replace(b"eth0      ", name))
    (tmp_path / "igmp6").write_bytes(IGMP6.encode().replace(b"eth0 ", name + b" "))
    assert memberships.joined(2) == (
        socket.inet_aton("224.2.2.3"),
        socket.inet_pton(socket.AF_INET6, "ff0e::1234"),
    )
    assert memberships.joined(1) == ()


def test_link_layer_groups_are_kept_where_somebody_set_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memberships, "NET", tmp_path)
    (tmp_path / "dev_mcast").write_bytes(
        b"2    \xff\x85\x1c             1     0     333300000001\n"
        b"2    \xff\x85\x1c             1     1     01005e000077\n"
        b"3    eth1            1     1     01005e000078\n"
    )
    assert memberships.set_groups(2) == (bytes.fromhex("01005e000077"),)


def test_addresses_are_as_the_kernel_lays_them_out() -> None:
    four = memberships._address(socket.inet_aton(packets.pod_one_ip4))
    six = memberships._address(socket.inet_pton(socket.AF_INET6, packets.pod_one_ip6))
    assert (len(four), len(six)) == (128, 128)
    assert four[4:8] == socket.inet_aton(packets.pod_one_ip4)
    assert six[8:24] == socket.inet_pton(socket.AF_INET6, packets.pod_one_ip6)


def test_sockets_of_streams_are_found_whatever_others_are_called(
    tmp_path: Path,
) -> None:
    (tmp_path / "net").mkdir()
    rows = [
        b"Num       RefCount Protocol Flags    Type St Inode Path",
        b"0000000000000000: 00000002 00000000 00000000 0001 01 4711 @\xff\xfe",
        b"0000000000000000: 00000002 00000000 00000000 0001 01 4712 @a",
        b"a name of eight words in a second line x",
        b"0000000000000000: 00000002 00000000 00000000 0001 01 4713",
    ]
    (tmp_path / "net/unix").write_bytes(b"\n".join(rows) + b"\n")
    assert memberships._streams(tmp_path) == {
        f"socket:[{inode}]" for inode in (4711, 4712, 4713)
    }


def test_what_is_no_socket_by_now_is_let_go() -> None:
    """A number is another file's soon after: a pipe's end that stays open here would keep its reader waiting."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    with pytest.raises(OSError, match="non-socket"):
        memberships._as_socket(os.dup(writes))
    os.close(writes)
    assert os.read(reads, 1) == b""
    os.close(reads)

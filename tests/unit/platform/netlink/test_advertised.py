"""Advertised routes are told by the kernel's mark, and given it again."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

import pytest

from pyctl.platform.netlink import advertised, l3
from pyctl.platform.netlink.raw import attr, attr_u32
from tests import packets

ETH0 = 2
ROUTER = socket.inet_pton(socket.AF_INET6, packets.link_local_ip6)
NET = socket.inet_pton(socket.AF_INET6, packets.pod_one_ip6)[:8].ljust(16, b"\0")


def route(length: int, *more: bytes, proto: int = l3.RTPROT_BOOT, ticks: int = 0):
    head = struct.pack("=8BI", socket.AF_INET6, length, 0, 0, 254, proto, 0, 1, 0)
    cache = attr(l3.RTA_CACHEINFO, struct.pack("=IIiI", 0, 0, ticks, 0) + b"\0" * 16)
    common = attr_u32(l3.RTA_PRIORITY, 1024) + attr_u32(l3.RTA_OIF, ETH0)
    return head + common + cache + b"".join(more)


VIA, TO = attr(l3.RTA_GATEWAY, ROUTER), attr(l3.RTA_DST, NET)
DEFAULT = route(0, VIA, attr(advertised.RTA_PREF, b"\3"), ticks=180_000)
PREFIX, INFO = route(64, TO, ticks=500), route(64, TO, VIA)


@pytest.mark.parametrize(
    ("body", "marks", "ticks"),
    [
        (DEFAULT, 0x18450003, 180_000),
        (PREFIX, 0x004C0001, 500),
        (INFO, 0x00840003, 0),
        (route(0, VIA, ticks=-7), 0x00450003, 1),
    ],
    ids=["default", "prefix", "information", "expired"],
)
def test_the_message_is_marked_as_the_kernel_marks_it(body, marks, ticks) -> None:
    raw = advertised.message(body)
    assert len(raw) == 80
    kind, length, _, metric, told, flags, index = struct.unpack_from(
        "@IHHILIi", raw, 48
    )
    assert (kind, length, metric) == (l3.RTN_UNICAST, body[1], 1024)
    assert (told, flags, index) == (ticks, marks, ETH0)
    assert raw[32:48] == (ROUTER if flags & advertised.RTF_GATEWAY else bytes(16))
    assert raw[:16] == (NET if length else bytes(16))


def test_the_mark_is_read_of_this_interface_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zero = bytes(16).hex()
    lines = (
        f"{zero} 00 {zero} 00 {ROUTER.hex()} 00000400 00000001 00000000 18450003     eth0",
        f"{NET.hex()} 40 {zero} 00 {zero} 00000400 00000001 00000000 004c0001     eth1",
        f"{NET.hex()} 40 {zero} 00 {ROUTER.hex()} 00000400 00000001 00000000 00000003     eth0",
        f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200     caf\udce9",
    )
    table = tmp_path / "ipv6_route"
    table.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    monkeypatch.setattr(advertised, "TABLE", table)
    assert advertised.marked("eth0", ETH0) == {advertised.place(DEFAULT)}
    assert advertised.marked("eth1", ETH0) == {advertised.place(PREFIX)}
    monkeypatch.setattr(advertised, "TABLE", tmp_path / "none")
    assert advertised.marked("eth0", ETH0) == frozenset()


@pytest.mark.parametrize(
    ("body", "likely"),
    [
        (DEFAULT, True),
        (PREFIX, True),
        (INFO, True),
        (route(64, attr(l3.RTA_DST, ROUTER)), False),
        (route(0, attr(l3.RTA_GATEWAY, NET)), False),
        (l3.default_route(socket.AF_INET, ETH0, 1024, 1500), False),
    ],
    ids=["default", "prefix", "information", "link-local", "set", "ipv4"],
)
def test_what_no_router_can_have_said_is_not_looked_for(body, likely) -> None:
    assert advertised.likely(body, ETH0) is likely
    assert not advertised.likely(body, ETH0 + 1)


def test_what_is_there_is_left_and_a_route_to_a_prefix_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, bytes]] = []

    def ioctl(_socket: socket.socket, what: int, wanted: bytes) -> None:
        asked.append((what, wanted))
        missing = what == advertised.SIOCDELRT
        raise OSError(errno.ESRCH if missing else errno.EEXIST, "so it is")

    monkeypatch.setattr(advertised.fcntl, "ioctl", ioctl)
    assert advertised.put_back([DEFAULT, PREFIX]) == []
    add, delete = advertised.SIOCADDRT, advertised.SIOCDELRT
    assert [what for what, _ in asked] == [add, delete, add]
    assert asked[1][1] == asked[2][1] == advertised.message(PREFIX)


def test_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENETDOWN, "down")

    monkeypatch.setattr(advertised.fcntl, "ioctl", refused)
    refusals = advertised.put_back([DEFAULT, PREFIX])
    assert [body for body, _ in refusals] == [DEFAULT, PREFIX]
    assert all("down" in str(why) for _, why in refusals)

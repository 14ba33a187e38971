"""What is asked about interfaces, as pyroute2 is asked, and what of an answer is an absence."""

from __future__ import annotations

import errno
import socket
from typing import Any, cast

import pytest

from pyctl.platform.iproute import links
from pyctl.platform.iproute.client import IprouteClient
from pyctl.platform.netlink import l3
from pyctl.platform.netlink import links as of_raw
from pyctl.platform.netlink.raw import NetlinkError, attr_text, attr_u32
from tests import packets

ETH0 = (
    of_raw.ifinfo(7, of_raw.IFF_UP)
    + attr_text(of_raw.IFLA_IFNAME, "eth0")
    + attr_u32(of_raw.IFLA_MTU, 1400)
)


class Asked:
    """A client that answers each question with what it was made of."""

    def __init__(self, *answers: list[bytes] | int) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def ask(self, *words: str, **parts: Any) -> list[bytes]:
        self.asked.append((words, parts))
        answer = self._answers.pop(0)
        if isinstance(answer, int):
            raise NetlinkError(answer, "refused")
        return answer


def played(*answers: list[bytes] | int) -> tuple[IprouteClient, Asked]:
    made = Asked(*answers)
    return cast("IprouteClient", made), made


def test_an_interface_is_asked_for_alone_and_read_whole() -> None:
    ip, kernel = played([ETH0], [ETH0])
    assert links.by_name(ip, "eth0") == links.by_index(ip, 7) == of_raw.parse(ETH0)
    assert [words for words, _ in kernel.asked] == [("link", "get")] * 2
    assert [parts.get("index") for _, parts in kernel.asked] == [None, 7]


def test_a_name_that_is_no_text_is_asked_for_byte_by_byte() -> None:
    ip, kernel = played([ETH0])
    links.by_name(ip, "v\udcffh")
    assert kernel.asked[0][1]["ifname"] == b"v\xffh"


def test_what_is_not_there_is_none_and_what_is_refused_an_error() -> None:
    ip, _ = played(errno.ENODEV, errno.EPERM)
    assert links.by_name(ip, "eth0") is None
    with pytest.raises(NetlinkError) as caught:
        links.by_index(ip, 7)
    assert caught.value.errno == errno.EPERM


def test_names_are_read_without_the_rest() -> None:
    other = of_raw.ifinfo(8) + attr_text(of_raw.IFLA_IFNAME, "vx8")
    ip, _ = played([ETH0, other])
    assert links.names(ip) == {7: "eth0", 8: "vx8"}


def test_a_change_names_only_what_changes_and_no_flag_of_the_kernels() -> None:
    ip, kernel = played([], [], [])
    links.change(ip, 7, mtu=1280)
    links.change(ip, 7, up=False)
    links.change(ip, 7, up=True, flags=of_raw.IFF_NOARP | of_raw.IFF_RUNNING)
    told = [parts for _, parts in kernel.asked]
    assert told[0] == {"index": 7, "flags": 0, "change": 0, "mtu": 1280}
    assert told[1] == {"index": 7, "flags": 0, "change": of_raw.IFF_UP}
    assert told[2]["flags"] == of_raw.IFF_UP | of_raw.IFF_NOARP
    assert told[2]["change"] == of_raw.IFF_UP | of_raw.SETTABLE_FLAGS


def test_both_ends_of_a_pair_have_their_index_and_flags() -> None:
    ip, kernel = played([])
    links.add_veth(ip, ("a", 10), ("b", 11), 2048, of_raw.IFF_NOARP)
    (parts,) = [parts for _, parts in kernel.asked]
    peer = parts["VETH_INFO_PEER"]
    assert (parts["ifname"], parts["index"], parts["mtu"]) == ("a", 10, 2048)
    assert peer["index"] == 11
    assert dict(peer["attrs"]) == {"IFLA_IFNAME": "b", "IFLA_MTU": 2048}
    for one in (parts, peer):
        assert one["flags"] == of_raw.IFF_NOARP
        assert one["change"] == of_raw.SETTABLE_FLAGS


def test_a_deletion_says_whether_there_was_something() -> None:
    ip, _ = played([], errno.ENODEV, errno.EBUSY)
    assert links.delete(ip, 7)
    assert not links.delete(ip, 7)
    with pytest.raises(NetlinkError):
        links.delete(ip, 7)


def test_addresses_come_in_the_order_of_adding_them() -> None:
    one, two = (
        l3.host_address(socket.AF_INET, socket.inet_aton(ip), 7, "eth0")
        for ip in (packets.pod_one_ip4, packets.pod_two_ip4)
    )
    new, old = (
        l3.host_address(socket.AF_INET6, bytes([0xFD, *bytes(14), last]), 7, "")
        for last in (2, 1)
    )
    ip, kernel = played([one, two], [new, old])
    assert links.addresses(ip, 7) == [one, two, old, new]
    assert all(parts["index"] == 7 for _, parts in kernel.asked)


def test_who_is_gone_has_no_addresses() -> None:
    ip, _ = played(errno.ENODEV)
    assert links.addresses(ip, 7) == []

"""Links are read whole, and changes name only what changes."""

from __future__ import annotations

import socket
import struct

from pyctl.platform.netlink import links
from pyctl.platform.netlink.raw import attr, attr_text, attr_u32, attrs, nest, u32
from tests import packets


def body() -> bytes:
    inet6 = nest(socket.AF_INET6, attr(links.IFLA_INET6_ADDR_GEN_MODE, b"\x01"))
    return b"".join(
        (
            links.ifinfo(7, links.IFF_UP | links.IFF_NOARP),
            attr_text(links.IFLA_IFNAME, "eth0"),
            attr(links.IFLA_ADDRESS, links.mac_bytes(packets.pod_one_mac)),
            attr_u32(links.IFLA_MTU, 1400),
            attr_u32(links.IFLA_LINK, 9),
            attr(links.IFLA_LINK_NETNSID, struct.pack("=i", 3)),
            nest(links.IFLA_LINKINFO, attr_text(links.IFLA_INFO_KIND, "veth")),
            nest(links.IFLA_AF_SPEC, inet6),
            nest(links.IFLA_PROP_LIST, attr_text(links.IFLA_ALT_IFNAME, "uplink")),
            nest(links.IFLA_XDP, attr(links.IFLA_XDP_ATTACHED, b"\0")),
        )
    )


def test_a_vxlan_stands_on_the_interface_that_it_names_inside() -> None:
    info = nest(
        links.IFLA_LINKINFO,
        attr_text(links.IFLA_INFO_KIND, "vxlan"),
        nest(links.IFLA_INFO_DATA, attr_u32(links.IFLA_VXLAN_LINK, 2)),
    )
    assert links.parse(links.ifinfo(7) + info).link == 2


def test_a_link_is_read_whole() -> None:
    link = links.parse(body())
    assert (link.index, link.name, link.mtu, link.kind) == (7, "eth0", 1400, "veth")
    assert link.mac == packets.pod_one_mac
    assert (link.link, link.link_nsid) == (9, 3)
    assert link.up
    assert link.addr_gen_mode == links.IN6_ADDR_GEN_MODE_NONE
    assert link.altnames == ("uplink",)
    assert not link.xdp


def test_a_peer_in_the_same_namespace_has_no_number() -> None:
    assert links.parse(links.ifinfo(1)).link_nsid is None


def test_a_change_names_only_what_changes() -> None:
    message = links.set_message(7, up=True)
    assert message.body == links.ifinfo(7, links.IFF_UP, links.IFF_UP)
    message = links.set_message(7, mtu=1280, rename="eth1", alias="")
    assert set(attrs(message.body[16:])) == {
        links.IFLA_MTU,
        links.IFLA_IFNAME,
        links.IFLA_IFALIAS,
    }


def test_a_token_and_how_addresses_are_made_are_of_the_ipv6_code() -> None:
    def told(body: bytes) -> dict[int, bytes]:
        spec = attrs(attrs(body[16:])[links.IFLA_AF_SPEC])
        return attrs(spec[socket.AF_INET6])

    token = "00" * 15 + "77"
    body = links.set_message(7, token=token).body
    assert told(body) == {links.IFLA_INET6_TOKEN: bytes.fromhex(token)}
    body = links.set_message(7, addr_gen_mode=0).body
    assert told(body) == {links.IFLA_INET6_ADDR_GEN_MODE: b"\0"}


def test_flags_are_set_and_cleared_but_never_up_by_them() -> None:
    message = links.set_message(7, flags=links.IFF_UP | links.IFF_NOARP)
    _family, _type, _index, flags, change = struct.unpack_from("=BxHiII", message.body)
    assert flags == links.IFF_NOARP
    assert change == links.SETTABLE_FLAGS


def test_a_move_names_namespace_index_and_name_in_one_request() -> None:
    message = links.set_message(7, netns_fd=5, new_index=2, rename="eth0")
    found = attrs(message.body[16:])
    assert u32(found[links.IFLA_NET_NS_FD]) == 5
    assert u32(found[links.IFLA_NEW_IFINDEX]) == 2


class Table:
    """What a namespace has, as a socket that dumps it."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)

    def dump(self, _kind: int, _wish: bytes) -> list[bytes]:
        return self._bodies


def vxlan(index: int, lower: int) -> bytes:
    inside = nest(links.IFLA_INFO_DATA, attr_u32(links.IFLA_VXLAN_LINK, lower))
    info = nest(links.IFLA_LINKINFO, attr_text(links.IFLA_INFO_KIND, "vxlan"), inside)
    return links.ifinfo(index) + attr_text(links.IFLA_IFNAME, f"vx{index}") + info


def test_whoever_refers_to_an_interface_is_found_among_many() -> None:
    others = [vxlan(index, 5) for index in range(100, 110)]
    found = links.naming(Table(body(), vxlan(8, 9), *others), 9)
    assert [link.name for link in found] == ["eth0", "vx8"]

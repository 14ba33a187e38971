"""Translated connections are made anew as they were, from what a dump shows of them."""

from __future__ import annotations

import socket
import struct

from pyctl.platform.netfilter import conntrack as ct
from pyctl.platform.netlink.raw import attr, attrs, nest
from tests import packets

INNER, ADDRESS = socket.inet_aton("172.30.0.2"), socket.inet_aton(packets.pod_one_ip4)
SERVER = socket.inet_aton(packets.gateway_ip4)
HEAD = bytes([socket.AF_INET, 0, 0, 0])
SEEN_AND_DONE = 0x2 | 0x4 | 0x8 | 0x80


def ports(source: int, destination: int) -> bytes:
    return (
        attr(ct.CTA_PROTO_NUM, bytes([6]))
        + attr(ct.CTA_PROTO_SRC_PORT, struct.pack(">H", source))
        + attr(ct.CTA_PROTO_DST_PORT, struct.pack(">H", destination))
    )


def direction(source: bytes, destination: bytes, rest: bytes) -> bytes:
    ips = attr(1, source) + attr(2, destination)
    return nest(ct.CTA_TUPLE_IP, ips) + nest(ct.CTA_TUPLE_PROTO, rest)


def entry(status: int, original: bytes, reply: bytes, rest: bytes = b"") -> bytes:
    return (
        HEAD
        + nest(ct.CTA_TUPLE_ORIG, original)
        + nest(ct.CTA_TUPLE_REPLY, reply)
        + attr(ct.CTA_STATUS, struct.pack(">I", status))
        + rest
    )


OUT = direction(INNER, SERVER, ports(4000, 80))
BACK = direction(SERVER, ADDRESS, ports(80, 61000))


def test_what_is_not_translated_is_nothing_to_keep() -> None:
    assert ct.message(entry(SEEN_AND_DONE, OUT, BACK)) is None


def test_a_translated_connection_is_asked_for_with_its_very_address_and_port() -> None:
    state = attr(1, b"\x03") + attr(4, b"\x23\x00")
    info = nest(ct.CTA_PROTOINFO, nest(ct.CTA_PROTOINFO_TCP, state))
    left = attr(ct.CTA_TIMEOUT, struct.pack(">I", 432000))
    made = ct.message(entry(SEEN_AND_DONE | ct.IPS_SRC_NAT, OUT, BACK, info + left))
    assert made is not None
    assert made.body[:4] == HEAD
    found = attrs(made.body[4:])
    assert found[ct.CTA_TUPLE_ORIG] == OUT
    assert found[ct.CTA_TUPLE_REPLY] == direction(SERVER, INNER, ports(80, 4000))
    assert found[ct.CTA_STATUS] == struct.pack(">I", 0x2 | 0x4 | 0x8)
    assert found[ct.CTA_TIMEOUT] == struct.pack(">I", 432000)
    source = attrs(found[ct.CTA_NAT_SRC])
    assert (source[1], source[2]) == (ADDRESS, ADDRESS)
    assert set(attrs(source[3]).values()) == {struct.pack(">H", 61000)}
    assert ct.CTA_NAT_DST not in found
    tcp = attrs(attrs(found[ct.CTA_PROTOINFO])[ct.CTA_PROTOINFO_TCP])
    assert (tcp[1], tcp[4]) == (b"\x03", b"\x23\x23")


def test_a_ping_is_known_by_its_number() -> None:
    def echo(kind: int, number: int) -> bytes:
        said = attr(ct.CTA_PROTO_NUM, bytes([socket.IPPROTO_ICMP]))
        return said + attr(4, struct.pack(">H", number)) + attr(5, bytes([kind]))

    made = ct.message(
        entry(
            SEEN_AND_DONE | ct.IPS_SRC_NAT,
            direction(INNER, SERVER, echo(8, 7)),
            direction(SERVER, ADDRESS, echo(0, 900)),
        )
    )
    assert made is not None
    found = attrs(made.body[4:])
    assert found[ct.CTA_TUPLE_REPLY] == direction(SERVER, INNER, echo(0, 7))
    source = attrs(found[ct.CTA_NAT_SRC])
    assert set(attrs(source[3]).values()) == {struct.pack(">H", 900)}

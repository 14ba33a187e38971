"""BitTorrent is known by its handshake, a tracker's number, a node's dictionary, or both sides of uTP."""

from __future__ import annotations

import struct

from tests.unit.engine.core.mutants import assert_not, assert_recognises
from tests.unit.engine.core.recognise import GUESS, UDP, Sample, told

HANDSHAKE = b"\x13BitTorrent protocol" + bytes(28)
PING = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
ERROR = b"d1:eli201e5:wronge1:t2:aa1:y1:ee"
TRACKER = bytes.fromhex("0000041727101980") + bytes(4) + b"abcd"
LOCAL = b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n\r\n"


def datagram(asks: bytes, answers: bytes = b"") -> Sample:
    return Sample(asks, answers, UDP)


def utp(
    kind: int,
    connection: int = 9,
    number: int = 7,
    acknowledged: int = 0,
    delay: int = 0,
) -> bytes:
    fields = (kind, 0, connection, 1234, delay, 1 << 20, number, acknowledged)
    return struct.pack(">BBHIIIHH", *fields)


def test_a_first_message_is_proof(core_module):
    assert_recognises(
        core_module,
        "BitTorrent",
        Sample(HANDSHAKE),
        *map(datagram, (PING, ERROR, TRACKER, LOCAL)),
    )


def test_utp_is_proven_by_its_answer(core_module):
    opens, answers = utp(0x41), utp(0x21, 9, 3, 7, 55)
    assert told(core_module, datagram(opens)) == ("BitTorrent", GUESS)
    assert_recognises(core_module, "BitTorrent", datagram(opens, answers))
    assert_not(
        core_module,
        "BitTorrent",
        datagram(opens, utp(0x21, 8, 3, 7)),
        datagram(opens, utp(0x21, 9, 3, 8)),
        datagram(opens, utp(0x31, 9, 3, 7)),
        datagram(utp(0x41, acknowledged=1), answers),
        datagram(utp(0x41, delay=1), answers),
    )


def test_what_is_like_one_is_none(core_module):
    assert_not(
        core_module,
        "BitTorrent",
        Sample(HANDSHAKE.replace(b"protocol", b"protokol")),
        datagram(PING + b"e"),
        datagram(PING[:-1]),
        datagram(PING.replace(b"1:y1:q", b"1:z1:q")),
        datagram(PING.replace(b"20:", b"200:")),
        datagram(b"d3:abc1:y1:ye"),
        datagram(b"i1e1:y"),
        datagram(b"l" * 6 + b"1:y" + b"e" * 6),
        datagram(TRACKER[:8] + b"\0\0\0\1abcd"),
        datagram(LOCAL.replace(b"BT-", b"M-")),
    )

"""The replies' sizes and offsets, field by field, as a client decodes them."""

from __future__ import annotations

import json
import socket

import pytest

from pyctl.engine.dp import replies
from pyctl.engine.dp.replies import DeviceCounters, SessionCounts, SessionRow
from tests import packets

CLIENT = socket.inet_aton(packets.pod_two_ip4)
SERVER = socket.inet_aton(packets.pod_one_ip4)
EP, PEER = bytes.fromhex("1a27f3873a27"), bytes.fromhex("0242ac110002")

ROW = SessionRow(
    session_id=0x01020304,
    ep_mac=EP,
    ether_type=0x0800,
    client_mac=PEER,
    server_mac=EP,
    client_ip=CLIENT,
    server_ip=SERVER,
    client_port=40000,
    server_port=80,
    icmp_code=3,
    icmp_type=8,
    ip_proto=6,
    packets=(0x11, (1 << 32) + 0x12),
    octets=(0x13, 0x14),
    tcp_state=1,
    idle_s=5,
    age_s=70000,
    life_s=1195,
    policy_id=10001,
    policy_action=2,
    flags=0x105,
)

# (name, offset, bytes) of the structure that lists a session.
SESSION = [
    ("ID", 0, bytes((1, 2, 3, 4))),
    ("EPMAC", 4, EP),
    ("EtherType", 10, b"\x08\x00"),
    ("ClientMAC", 12, PEER),
    ("ServerMAC", 18, EP),
    ("ClientIP", 24, CLIENT + bytes(12)),
    ("ServerIP", 40, SERVER + bytes(12)),
    ("CPort", 56, (40000).to_bytes(2, "big")),
    ("SPort", 58, (80).to_bytes(2, "big")),
    ("ICMPCode", 60, b"\x03"),
    ("ICMPType", 61, b"\x08"),
    ("IPProto", 62, b"\x06"),
    ("CPkts", 64, bytes((0, 0, 0, 0x11))),
    ("SPkts", 68, bytes((0, 0, 0, 0x12))),
    ("CBytes", 72, bytes((0, 0, 0, 0x13))),
    ("SBytes", 76, bytes((0, 0, 0, 0x14))),
    ("CAsmPkts…SAsmBytes", 80, bytes(16)),
    ("CState", 96, b"\x01"),
    ("SState", 97, b"\x01"),
    ("Idle", 98, bytes((0, 5))),
    ("Age", 100, (70000).to_bytes(4, "big")),
    ("Life", 104, (1195).to_bytes(2, "big")),
    ("App", 106, bytes(2)),
    ("ThreatID", 108, bytes(4)),
    ("PolicyId", 112, (10001).to_bytes(4, "big")),
    ("PolicyAction", 116, b"\x02"),
    ("Severity", 117, b"\x00"),
    ("Flags", 118, b"\x01\x05"),
    ("XffIP", 120, bytes(16)),
    ("XffApp", 136, bytes(2)),
    ("XffPort", 138, bytes(2)),
]

COUNTERS = DeviceCounters(
    rx=1,
    rx_drop=2,
    tx=3,
    tx_drop=4,
    error=5,
    no_workload=6,
    other=13,
    timeout_frag=18,
    sessions=SessionCounts(19, 20, 21, 22, 23),
    type1_rules=101,
    type2_rules=102,
)

# (name, offset, width, value) of the device counters.
DEVICE = [
    ("RX", 0, 8, 1),
    ("RXDrop", 8, 8, 2),
    ("TX", 16, 8, 3),
    ("TXDrop", 24, 8, 4),
    ("Error", 32, 8, 5),
    ("NoWorkload", 40, 8, 6),
    ("IPv4…ICMP", 48, 48, 0),
    ("Other", 96, 8, 13),
    ("Asm…FreedFrag", 104, 32, 0),
    ("TimeoutFrag", 136, 8, 18),
    ("TotalSess", 144, 8, 19),
    ("TCPSess", 152, 8, 20),
    ("UDPSess", 160, 8, 21),
    ("ICMPSess", 168, 8, 22),
    ("IPSess", 176, 8, 23),
    ("DropMeters…CurLogCaches", 184, 32, 0),
    ("ParserSessions", 216, 160, 0),
    ("ParserPackets", 376, 160, 0),
    ("PolicyType1Rules", 536, 4, 101),
    ("PolicyType2Rules", 540, 4, 102),
    ("PolicyDomains", 544, 4, 0),
    ("PolicyDomainIPs", 548, 4, 0),
    ("LimitDropConns", 552, 8, 0),
    ("LimitPassConns", 560, 8, 0),
]


def header(reply: bytes) -> tuple[int, int, int]:
    return reply[0], reply[1], int.from_bytes(reply[2:4], "big")


def test_a_keep_alive_comes_back():
    assert replies.keep_alive(0xA1B2C3D4) == bytes.fromhex("0a000008a1b2c3d4")


def test_session_counts_are_five_words():
    reply = replies.session_count(SessionCounts(15, 1, 2, 3, 9))
    assert header(reply) == (3, 0, 24)
    words = [int.from_bytes(reply[at : at + 4], "big") for at in range(4, 24, 4)]
    assert words == [15, 1, 2, 3, 9]


def test_a_session_has_140_bytes_and_every_byte_has_a_name():
    packed = ROW.pack()
    assert len(packed) == 140
    named = {
        at for _, offset, value in SESSION for at in range(offset, offset + len(value))
    }
    assert set(range(140)) - named == {63}, "the one byte of padding"


@pytest.mark.parametrize(("name", "offset", "value"), SESSION)
def test_a_field_of_a_session_is_where_clients_read_it(name, offset, value):
    assert ROW.pack()[offset : offset + len(value)] == value, name


def test_ipv6_addresses_fill_their_fields():
    ip6 = socket.inet_pton(socket.AF_INET6, packets.pod_one_ip6)
    row = SessionRow(**{**vars(ROW), "client_ip": ip6, "ether_type": 0x86DD})
    assert row.pack()[24:40] == ip6


def test_times_beyond_their_field_stop_at_its_end():
    row = SessionRow(
        **{**vars(ROW), "idle_s": 1 << 40, "age_s": 1 << 40, "life_s": 65536}
    )
    packed = row.pack()
    assert packed[98:100] == packed[104:106] == b"\xff\xff"
    assert packed[100:104] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("count", [0, 1, 58, 59, 116, 117, 600])
def test_a_list_is_paged_and_ends_with_the_terminator(count):
    found = list(replies.session_list([ROW] * count))
    assert found[-1] == bytes((2, 0, 0, 8, 0, 0, 0, 0))
    total = 0
    for page in found[:-1]:
        number = int.from_bytes(page[4:6], "big")
        assert header(page) == (2, 1, 8 + 140 * number)
        assert len(page) == 8 + 140 * number <= 8192
        assert number > 0
        total += number
    assert total == count
    assert len(found) == 1 + -(-count // 58)


def test_the_device_counters_have_568_bytes_and_every_byte_has_a_name():
    reply = replies.device_counter(COUNTERS)
    assert header(reply) == (4, 0, 4 + 568)
    assert len(reply) == 4 + 568
    end = 0
    for _, offset, width, _ in DEVICE:
        assert offset == end
        end += width
    assert end == 568


@pytest.mark.parametrize(("name", "offset", "width", "value"), DEVICE)
def test_a_device_counter_is_where_clients_read_it(name, offset, width, value):
    body = COUNTERS.pack()
    assert int.from_bytes(body[offset : offset + width], "big") == value, name


def test_debug_categories_are_json():
    told = json.loads(replies.debug(["ctrl", "policy"]))
    assert told == {"dp_debug": {"categories": ["ctrl", "policy"]}}

"""The runner of captures: segments in any order, flows that lack bytes, damaged frames, and nDPI's names."""

from __future__ import annotations

import struct

import pytest

from scripts.bench.corpus.__main__ import judge, recut, table
from scripts.bench.corpus.captures import ACK, FIN, SYN, TCP, UDP, Packet
from scripts.bench.corpus.expectations import expected
from scripts.bench.corpus.flows import CERTAIN, flows

CLIENT, SERVER = ("192.0.2.1", 40000), ("192.0.2.2", 80)
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
FIRST, OTHER = 0xFFFFFFF0, 5000
"""Sequence numbers of the SYNs; the client's wraps."""


def opened() -> list[Packet]:
    return [
        Packet(TCP, CLIENT, SERVER, b"", FIRST, 0, SYN),
        Packet(TCP, SERVER, CLIENT, b"", OTHER, FIRST + 1, SYN | ACK),
    ]


def sent(data: bytes, at: int = 0, ack: int = OTHER + 1) -> Packet:
    seq = (FIRST + 1 + at) & 0xFFFFFFFF
    return Packet(TCP, CLIENT, SERVER, data, seq, ack, ACK)


def answered(data: bytes, acked: int, flags: int = ACK) -> Packet:
    ack = (FIRST + 1 + acked) & 0xFFFFFFFF
    return Packet(TCP, SERVER, CLIENT, data, OTHER + 1, ack, flags)


def only(*packets: Packet):
    (flow,) = flows(packets).values()
    return flow


def test_segments_are_put_in_order_and_repeats_change_nothing():
    flow = only(*opened(), sent(GET[9:], 9), sent(GET[:5]), sent(GET[:9]), answered(OK, len(GET)))  # fmt: skip
    assert (flow.app, flow.proof) == ("HTTP", CERTAIN)
    assert flow.ends == [CLIENT, SERVER]
    assert bytes(flow.sides[0].data) == GET
    assert flow.cut_otherwise() is None


def test_who_answers_a_syn_is_not_the_initiator():
    flow = only(opened()[1], sent(GET))
    assert flow.ends == [CLIENT, SERVER]
    assert flow.app == "HTTP"


@pytest.mark.parametrize(
    ("packets", "is_partial"),
    [
        ([*opened(), sent(GET[:9]), answered(OK, 9)], False),
        ([*opened(), sent(GET[:9]), answered(OK, 10, ACK | FIN)], False),
        ([*opened(), sent(GET[:9]), answered(OK, 20)], True),
        ([sent(GET[:9])], True),
    ],
)
def test_bytes_that_were_acknowledged_but_not_captured_are_missed(packets, is_partial):
    assert only(*packets).is_partial is is_partial


def test_of_datagrams_the_first_of_each_side_counts():
    asks = b"\0\1\0\0\0\1\0\0get a\r\n"
    sent = [(CLIENT, SERVER, asks), (CLIENT, SERVER, b"x"), (SERVER, CLIENT, b"\xf4")]
    flow = only(*(Packet(UDP, *one) for one in sent))
    assert [bytes(side.data) for side in flow.sides] == [asks, b"\xf4"]
    assert flow.app == "unknown"


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    return ~(sum(struct.unpack(f">{len(data) // 2}H", data)) % 0xFFFF) & 0xFFFF


def frame(packet: Packet, *, damage: int = 0) -> bytes:
    ends = bytes(map(int, ".".join([packet.source[0], packet.target[0]]).split(".")))
    ports = struct.pack(">HH", packet.source[1], packet.target[1])
    rest = struct.pack(">IIBBHHH", packet.seq, packet.ack & 0xFFFFFFFF, 0x50, packet.flags, 512, 0, 0)  # fmt: skip
    whole = ports + rest + packet.data
    right = checksum(ends + struct.pack(">HH", TCP, len(whole)) + whole) ^ damage
    whole = whole[:16] + right.to_bytes(2, "big") + whole[18:]
    head = struct.pack(">BBHIBBH", 0x45, 0, 20 + len(whole), 0, 64, TCP, 0) + ends
    return bytes(12) + b"\x81\0\0\x05\x08\0" + head + whole


def write(directory, name: str, frames: list[bytes], protocol: str) -> None:
    """A capture of tagged frames, and what nDPI would say of it."""
    for folder in ("pcap", "result"):
        (directory / folder).mkdir(exist_ok=True)
    head = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    rows = [struct.pack("<IIII", 0, 0, len(one), len(one)) + one for one in frames]
    (directory / "pcap" / name).write_bytes(head + b"".join(rows))
    line = f"\t1\tTCP {CLIENT[0]}:{CLIENT[1]} <-> {SERVER[0]}:{SERVER[1]} [proto: 7.1/{protocol}][IP: 0/x][Confidence: DPI][2 pkts]\n"
    (directory / "result" / f"{name}.out").write_text("HTTP\t1\n\n" + line)


def test_what_both_say_of_a_capture_is_compared(tmp_path):
    frames = [frame(one) for one in [*opened(), sent(GET), answered(OK, len(GET))]]
    write(tmp_path, "right.pcap", frames, "HTTP.Google")
    write(tmp_path, "wrong.pcap", frames, "TLS")
    write(tmp_path, "other.pcap", frames[:2] + frames[3:], "HTTP_Proxy")
    judged = judge(tmp_path)
    assert {one.capture: one.kind for one in judged} == {
        "right.pcap": "right",
        "wrong.pcap": "wrong",
        "other.pcap": "partial",
    }
    assert "100.0" in table(judged)
    assert recut(judged).endswith("2 of 2 alike")
    assert "192.0.2.1:40000 > 192.0.2.2:80" in judged[0].line()


def test_a_receiver_takes_no_damaged_frame(tmp_path):
    frames = [frame(one) for one in opened()] + [frame(sent(GET), damage=1)]
    write(tmp_path, "fuzz-1.pcap", frames, "HTTP")
    write(tmp_path, "usual.pcap", frames, "HTTP")
    assert [one.capture for one in judge(tmp_path)] == ["usual.pcap"]


def test_what_is_no_capture_is_passed_over(tmp_path):
    write(tmp_path, "none.pcap", [], "HTTP")
    (tmp_path / "pcap" / "none.pcap").write_bytes(b"?" * 100)
    assert judge(tmp_path) == []


def test_an_address_that_is_none_matches_no_flow(tmp_path):
    result = tmp_path / "x.pcap.out"
    result.write_text(
        "\t1\tUDP [1::2::3]:5 -> [::1]:6 [proto: 5/DNS][Confidence: DPI]\n"
    )
    ((pair, protocol, how),) = expected(result)
    assert pair == (UDP, frozenset({("1::2::3", 5), ("::1", 6)}))
    assert (protocol, how) == ("DNS", "DPI")

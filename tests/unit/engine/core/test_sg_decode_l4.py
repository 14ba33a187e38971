"""A wrong TCP checksum: whatever its receiver throws away is not looked at."""

from __future__ import annotations

import struct

import pytest

from tests.unit.engine.core.app_flow import GET, Wire, asks_for, payload
from tests.unit.engine.core.harness import EGRESS, INGRESS


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def wire(node, net, request):
    """A connection after its handshake, for which a rule wants HTTP."""
    node.judge_by(asks_for("HTTP"))
    return Wire(node.core, net, request.param).opens()


SUM_AT = {4: 14 + 20 + 16, 6: 14 + 40 + 16}
NEEDS_CSUM, DATA_VALID = b"\1", b"\2"


def pseudo_sum(frame: bytes, family: int) -> int:
    """What a sender leaves in the checksum's place for the device that finishes it."""
    at = SUM_AT[family]
    tcp = frame[at - 16 : at] + bytes(2) + frame[at + 2 :]
    finished = int.from_bytes(frame[at : at + 2])
    rest = sum(struct.unpack(f"!{(len(tcp) + 1) // 2}H", tcp + bytes(len(tcp) % 2)))
    return ((0xFFFF - finished) - rest) % 0xFFFF


@pytest.mark.parametrize(
    ("vnet", "leaves", "is_right"),
    [
        (b"\0", None, True),
        (b"\0", 1, False),
        (DATA_VALID, 1, True),
        (NEEDS_CSUM, 0, True),
        (NEEDS_CSUM, 1, False),
    ],
    ids=["right", "wrong", "checked-before", "to-finish", "to-finish-wrong"],
)
def test_payload_with_a_wrong_checksum_is_as_if_it_had_not_come(
    wire, net, vnet, leaves, is_right
):
    """The receiver would not take it, and another payload in its place later."""
    frame = wire.connection.segment(0, "PA", GET + b"odd")
    at = SUM_AT[net.family]
    if leaves is not None:
        value = (pseudo_sum(frame, net.family) + leaves) % 0xFFFF
        frame = frame[:at] + value.to_bytes(2) + frame[at + 2 :]
    head = vnet + b"\0" + bytes(4) + struct.pack("<HH", at - 16, 16)
    out = wire.core.feed(frame, vnet=head)
    assert [payload(sent) for sent in out] == ([GET + b"odd"] if is_right else [])
    assert wire.core.counters().get("tcp_checksum", 0) == (not is_right)
    if not is_right:
        wire.connection.seq[0] -= len(GET) + 3
        wire.says(0, GET)
        assert wire.across[0] == GET

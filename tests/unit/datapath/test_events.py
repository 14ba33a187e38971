"""A seg_event as the agent sees it."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from pyctl import abi
from pyctl.datapath import events
from pyctl.datapath.events import EventReader, decode
from pyctl.errors import SegctlError
from pyctl.model.instance import Instance
from tests import packets


def record(**fields):
    known = {
        "reason": abi.REASON["spoofed_ip"].number,
        "dir": abi.constant("SEG_DIR_EGRESS"),
        "smac": list(bytes.fromhex(packets.pod_one_mac.replace(":", ""))),
        **fields,
    }
    return abi.pack("seg_event", **known)


def test_an_ip_drop_has_its_endpoints():
    raw = list(ipaddress.ip_address(packets.pod_one_ip6).packed)
    event = decode(record(family=6, saddr=raw, sport=socket.htons(68)))
    assert (event.source, event.source_port) == (packets.pod_one_ip6, 68)
    assert (event.reason, event.direction) == ("spoofed_ip", "egress")
    assert event.source_mac == packets.pod_one_mac


def test_what_is_no_ip_has_no_addresses():
    event = decode(record(passed=1, dir=0))
    assert (event.source, event.destination, event.direction) == (None, None, None)
    assert event.passed


def test_a_record_of_another_size_is_refused():
    with pytest.raises(SegctlError):
        decode(record()[:-1])


def test_the_ring_is_read_as_far_as_asked_and_closed(monkeypatch):
    """What its memory holds is read by platform/bpf/ring."""
    ring = Ring()
    monkeypatch.setattr(events, "open_map", lambda _, name: name)
    monkeypatch.setattr(events, "RingReader", ring.of)
    with EventReader(Instance("one")) as reader:
        assert reader.fileno() == 7
        assert [one.reason for one in reader.read(5)] == ["spoofed_ip"]
    assert ring.told == ["of seg_events", "read 5", "closed"]


class Ring:
    """A ring with one record."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def of(self, name: str) -> Ring:
        self.told.append(f"of {name}")
        return self

    def fileno(self) -> int:
        return 7

    def read(self, limit: int) -> list[bytes]:
        self.told.append(f"read {limit}")
        return [record()]

    def close(self) -> None:
        self.told.append("closed")

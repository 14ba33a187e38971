"""Captures sent through an engine's core under a rule: what of them crosses, and whether that has one version alone.

In: a capture's IP packets, a rule. Out: what crossed. I/O: gcc, once for each state of the sources.
The core is the one of the unit tests: it needs no namespace and no privilege. Who opens a connection is the workload.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyctl import abi
from pyctl.model.policy import Action
from scripts.bench.corpus.captures import ACK, SYN, TCP, End, ip_packets, payload_of

CHECKED = b"\2"
"""VIRTIO_NET_HDR_F_DATA_VALID: in many captures the checksums were never filled in."""
GATEWAY = bytes.fromhex("024200000001")
PORT = 0x0107
UNIT = "tests.unit.engine.core"
Place = tuple[End, End, int]
"""A byte: from whom, to whom, and its sequence number or the count of datagrams before it."""


@dataclass(frozen=True)
class Crossed:
    """What crossed of a capture."""

    captured: int
    """Bytes of payload in the capture, each once."""
    payload: int
    """Bytes of payload that crossed, each once."""
    differ: int
    """Those of them that crossed as two different ones."""
    reasons: tuple[str, ...]
    """Why packets were dropped, or connections ended."""


class Replay:
    """Sends captures through cores, each through one of its own."""

    def __init__(self, scratch: Path) -> None:
        self._node = importlib.import_module(f"{UNIT}.node").Node
        self._conditions = importlib.import_module(f"{UNIT}.conditions")
        self._asks_for = importlib.import_module(f"{UNIT}.app_flow").asks_for
        self._module = importlib.import_module(f"{UNIT}.extension").build(scratch)

    def rule(self, app: str, *, path: str = "", unknown: bool = False) -> Any:
        """Return a rule that allows an application, of HTTP requests for one path alone, and what is unknown."""
        rule = self._asks_for(app, unknown=Action.ALLOW if unknown else None)
        return replace(rule, condition=self._conditions.http(path)) if path else rule

    def crossing(self, capture: Path, rule: Any) -> Crossed:
        """Send the capture's packets under the rule."""
        whole = [packet for packet in ip_packets(capture) if packet]
        openers = _openers(whole)
        node = self._node(self._module)
        node.judge_by(rule)
        captured: set[Place] = set()
        crossed: dict[Place, int] = {}
        differ: set[Place] = set()
        for packet in whole:
            captured |= {place for place, _ in _bytes(packet)}
            for sent in node.core.feed(_frame(packet, openers), vnet=CHECKED):
                for place, byte in _bytes(sent[14:]):
                    if crossed.setdefault(place, byte) != byte:
                        differ.add(place)
        node.core.advance(4)
        reasons = tuple(sorted(node.core.drops()))
        node.core.close()
        return Crossed(len(captured), len(crossed), len(differ), reasons)


def _openers(packets: Sequence[bytes]) -> dict[frozenset[End], End]:
    """Return who opens each conversation: the sender of its first SYN, or of its first packet."""
    found: dict[frozenset[End], End] = {}
    for one in filter(None, map(payload_of, packets)):
        is_answer = one.proto == TCP and one.flags & (SYN | ACK) == SYN | ACK
        opener = one.target if is_answer else one.source
        found.setdefault(frozenset((one.source, one.target)), opener)
    return found


def _frame(packet: bytes, openers: dict[frozenset[End], End]) -> bytes:
    """Return the packet as a frame of the detour: of the workload, or to it."""
    one, mac = payload_of(packet), abi.ucmac(PORT)
    inbound = one and openers[frozenset((one.source, one.target))] != one.source
    macs = mac + GATEWAY if inbound else GATEWAY + mac
    return macs + (b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def _bytes(packet: bytes) -> Iterator[tuple[Place, int]]:
    """Yield the payload's bytes with their places; of a datagram, which has none, by its first bytes."""
    one = payload_of(packet)
    if one is None:
        return
    first = one.seq + bool(one.flags & SYN) if one.proto == TCP else hash(one.data)
    for at, byte in enumerate(one.data):
        yield (one.source, one.target, (first + at) % 2**32), byte

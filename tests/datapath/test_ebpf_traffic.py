"""Real traffic through the eBPF datapath, the engine an echo: what is carried, and how."""

from __future__ import annotations

import secrets
import socket
import struct
import time

import pytest

from pyctl import abi
from pyctl.datapath.maps import dump_maps
from pyctl.datapath.pins import open_map
from tests.lab.datapath.flow_entry import pack_flow
from tests.lab.datapath.wiring import (
    ADDRESSES,
    CLIENT_PORT,
    SERVER_PORT,
    Wiring,
    stream,
)

GENERATION = 3
SECRET = [secrets.randbits(64) for _ in range(7)]
"""As the engine draws it once."""


def decide(wiring: Wiring, version: int) -> None:
    """What the engine would write for the stream of pod 0 to pod 1: four entries, all allow."""
    with (
        open_map(wiring.instance, "seg_control") as control,
        control.mmap(write=True) as memory,
    ):
        at = abi.ffi.offsetof("struct seg_control", "flow_secret")
        struct.pack_into(f"={len(SECRET)}Q", memory, at, *SECRET)
    first, second = (
        socket.inet_pton(socket.AF_INET if version == 4 else socket.AF_INET6, ip)
        for ip in ADDRESSES[version]
    )
    for pair, ends in (
        (wiring.pairs[0], ((first, CLIENT_PORT), (second, SERVER_PORT))),
        (wiring.pairs[1], ((second, SERVER_PORT), (first, CLIENT_PORT))),
    ):
        wiring.driver.publish({pair.port_id: GENERATION})
        (local, local_port), (remote, remote_port) = ends
        raw = {"local": local, "remote": remote}
        key = abi.pack(
            f"seg_flow_key{version}",
            port_id=pair.port_id,
            proto=6,
            local_port=socket.htons(local_port),
            remote_port=socket.htons(remote_port),
            **{
                k: int.from_bytes(v, "little") if version == 4 else list(v)
                for k, v in raw.items()
            },
        )
        flow = pack_flow(
            key,
            SECRET,
            generation=GENERATION,
            last_seen=time.monotonic_ns() >> abi.constant("SEG_FLOW_TICK") & 0xFFFFFFFF,
            egress_verdict=abi.constant("SEG_VERDICT_ALLOW"),
            ingress_verdict=abi.constant("SEG_VERDICT_ALLOW"),
        )
        with open_map(wiring.instance, f"seg_flows{version}") as flows:
            flows.update(key, flow)


@pytest.fixture
def two_pods(wiring: Wiring) -> Wiring:
    """Name: two_pods. Scope: function. Depends: wiring. Two attached pods in protect."""
    return wiring.start_pods(2)


@pytest.mark.parametrize("version", [4, 6])
def test_a_decided_flow_bypasses_the_engine(two_pods: Wiring, version):
    decide(two_pods, version)
    stream(two_pods, two_pods.pods[0], two_pods.pods[1], version, megabytes=100)
    # SYN twice (as egress and as ingress); FIN may not have come by yet.
    assert len(two_pods.inspected()) <= 8
    rows = dump_maps(two_pods.instance, f"seg_flows{version}")[f"seg_flows{version}"]
    out = {CLIENT_PORT: "egress", SERVER_PORT: "ingress"}
    outward = {out[row["local_port"]]: row for row in rows}
    assert {row[f"{way}_verdict"] for way, row in outward.items()} == {"allow"}
    assert all(row[f"{way}_bytes"] > 100 << 20 for way, row in outward.items())
    assert two_pods.counters(0)["flow_allow"].bytes > 100 << 20


def test_a_new_generation_brings_a_decided_flow_back_to_the_engine(two_pods: Wiring):
    decide(two_pods, 4)
    two_pods.driver.publish({two_pods.pairs[0].port_id: GENERATION + 1})
    stream(two_pods, two_pods.pods[0], two_pods.pods[1], 4, megabytes=5)
    ways = two_pods.inspected()
    assert ways.count(("egress", "0101")) > 10
    assert ways.count(("ingress", "0202")) <= 2

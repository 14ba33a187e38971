"""A packet socket says where an unfinished checksum is to be written: over what was judged, it is not sent on."""

from __future__ import annotations

import struct

import pytest

from tests import packets
from tests.lab.pace import wait_for

OPEN = """
groups: {web: {selector: {name: web}}}
modes: {web: %s}
rules: [{id: 1, from: web, to: any, ports: [udp/5000, tcp/5000], action: allow}]
"""
_SEND = """
import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
raw.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
raw.bind(("eth0", 0))
for frame in sys.argv[1:]:
    raw.send(bytes.fromhex(frame))
"""
PORT_FIELD, UDP_CSUM, SOURCE = 34 + 2, 34 + 6, 26


def frame(field: int) -> str:
    """UDP to an allowed port, whose checksum is to be written at `field` of the frame."""
    ether = bytes.fromhex((packets.gateway_mac + packets.pod_one_mac).replace(":", ""))
    source, target = (
        bytes(map(int, ip.split(".")))
        for ip in (packets.pod_one_ip4, packets.gateway_ip4)
    )
    udp = struct.pack("!HHHH", 4000, 5000, 16, 0) + bytes(8)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    ip = head + source + target
    # flags NEEDS_CSUM, no GSO, hdr_len, gso_size, csum_start, csum_offset
    start = min(field, 34)
    vnet = struct.pack("=BBHHHH", 1, 0, 0, 0, start, field - start)
    return (vnet + ether + b"\x08\x00" + ip + udp).hex()


@pytest.mark.parametrize("mode", ["protect", "discover"])
def test_a_checksum_that_would_change_what_was_judged_goes_nowhere(lab, agent, mode):
    _host, (web, _client) = lab.pods()
    agent.attach(web, "web")
    agent.policy(OPEN % mode)
    sent = [frame(UDP_CSUM), frame(PORT_FIELD), frame(SOURCE), frame(34 + 8)]
    web.run("python3", "-c", _SEND, *sent)
    wait_for(lambda: agent.counts("web").get("csum_place", 0) >= 2)
    web.run("python3", "-c", _SEND, frame(UDP_CSUM), frame(PORT_FIELD))
    wait_for(lambda: agent.counts("web")["csum_place"] == 3)

"""A client that writes its own segments, before a server that must not hear what it wants to say."""

from __future__ import annotations

import itertools
import struct

import pytest
from scapy.layers.inet import IP, fragment
from scapy.layers.l2 import Ether

from tests import packets
from tests.lab.net import traffic
from tests.lab.net.raw_link import Link, LinkClient

PORT = 9000
NOBODY = "192.0.2.77"
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
EVIL = b"SSH-2.0-EVIL\r\n" + b"EVIL" * 8
WRONG = 0x1234
_LISTENS = """
ip, port = sys.argv[1], int(sys.argv[2])
listener = socket.socket(family(ip)); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.SOL_TCP, 23, 16)
listener.bind((ip, port)); listener.listen(64); say(ready=True)
got, deadline, open_sockets = {}, time.monotonic() + 120, {listener}
while time.monotonic() < deadline:
    for one in select.select([*open_sockets, sys.stdin], [], [], 1)[0]:
        if one is sys.stdin:
            sys.stdin.readline(); say(got=[part.hex() for part in got.values()]); got.clear(); continue
        if one is listener:
            open_sockets.add(listener.accept()[0]); continue
        try: data = one.recv(65536)
        except OSError: data = b""
        got[id(one)] = got.get(id(one), b"") + data
        if not data: open_sockets.discard(one); one.close()
"""


@pytest.fixture
def attack(lab, agent):
    """(client's link, what the server heard): a server on a protected workload that counts what it hears."""
    _host, (web, client) = lab.pods()
    web.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=1538")
    server = traffic.Program(web, _LISTENS, packets.pod_one_ip4, str(PORT))
    assert server.heard() == {"ready": True}
    web.batch(f"neigh replace {NOBODY} lladdr {packets.pod_two_mac} dev eth0")
    agent.attach(web, "web")
    link = Link(
        client,
        "eth0",
        packets.pod_two_mac,
        NOBODY,
        packets.pod_one_mac,
        packets.pod_one_ip4,
    )
    return link, lambda: [bytes.fromhex(one) for one in server.said("")["got"]]


def rules(agent, unknown):
    word = f", app_unknown: {unknown}" if unknown else ""
    agent.policy(
        "groups: {web: {selector: {name: web}}}\nmodes: {web: protect}\nrules:\n"
        f"  - {{id: 1, from: any, to: web, apps: [HTTP]{word}, action: allow}}\n"
    )


def evil_alone(client):
    client.open()
    client.send(0, EVIL)


def evil_byte_by_byte(client):
    client.open()
    for at, byte in enumerate(EVIL):
        client.send(at, bytes([byte]))


def with_a_wrong_checksum_before(client):
    client.open()
    client.send(0, GET, chksum=WRONG)
    client.send(0, EVIL)


def another_copy_while_it_waits(client):
    client.open()
    client.send(0, GET[:10])
    client.send(0, EVIL)


def another_copy_behind_a_hole(client):
    client.open()
    client.send(4, EVIL[4:])
    client.send(0, GET)
    client.send(0, EVIL)


def overlaps_on_both_sides(client):
    client.open()
    client.send(8, EVIL[8:20])
    client.send(0, EVIL[:8] + GET[8:12])
    client.send(0, GET[:16])


def urgent(client):
    client.open()
    client.send(0, b"X" + EVIL, "PAU", urgptr=1)
    client.send(0, EVIL, "PAU", urgptr=9)


def with_a_reset(client):
    client.open()
    client.send(0, EVIL, "RA", seq=(client.first + 100000) % 2**32)
    client.send(0, EVIL, "RPA", chksum=WRONG)
    client.send(0, EVIL)


def after_a_blind_reset(client):
    client.open()
    client.send(0, GET[:8])
    client.send(0, b"", "R", chksum=WRONG)
    client.send(0, EVIL)


def without_an_ack(client):
    client.open()
    client.send(0, GET, "P")
    client.send(0, EVIL, "P")
    client.send(0, EVIL, ack=(client.ack + 100000) % 2**32)
    client.send(0, EVIL)


def in_the_syn(client):
    client.open(EVIL)
    client.send(0, EVIL)


def in_fragments(client):
    client.open()
    whole = client.frame(0, EVIL)
    client.write(
        bytes(Ether(bytes(whole)[:14]) / one)
        for one in fragment(IP(bytes(whole)[14:]), 24)
    )
    client.send(0, EVIL)


def behind_a_keep_alive(client):
    client.open()
    client.send(-1, b"S")
    client.send(-1, b"G" + GET[:4])
    client.send(-1, b"X" + EVIL)


def where_numbers_wrap(client):
    client.first = 2**32 - 7
    client.open()
    client.send(3, EVIL[3:11])
    client.send(0, GET[:9])
    client.send(0, EVIL)


def as_a_super_frame(client):
    client.open()
    frame = bytes(client.frame(0, EVIL * 400, chksum=0))
    client.write([frame], struct.pack("<BBHHHH", 1, 1, 54, 1400, 34, 16))
    client.send(0, EVIL)


def after_the_answer(client):
    """What was allowed comes again as another, before and after it is acknowledged."""
    client.open()
    client.send(0, GET)
    client.send(0, EVIL)
    client.heard(0.3)
    client.send(0, EVIL)
    client.send(4, EVIL)


def from_a_port_that_was_used(client):
    client.open()
    client.send(0, GET)
    client.heard(0.3)
    client.send(len(GET), b"", "FA")
    client.heard(0.3)
    client.ack = (client.ack + 1) % 2**32
    client.send(len(GET) + 1, b"", "A")
    client.heard(0.3)
    client.first = (client.first + 200000) % 2**32
    client.open()
    client.send(0, EVIL)


def in_two_handshakes(client):
    """Another SYN while the first one is answered."""
    client.send(-1, b"", "S")
    client.first = (client.first + 3) % 2**32
    client.send(-1, b"", "S")
    client.open()
    client.send(3, EVIL)
    client.send(0, EVIL)


ATTACKS = [
    evil_alone,
    evil_byte_by_byte,
    with_a_wrong_checksum_before,
    another_copy_while_it_waits,
    another_copy_behind_a_hole,
    overlaps_on_both_sides,
    urgent,
    with_a_reset,
    after_a_blind_reset,
    without_an_ack,
    in_the_syn,
    in_fragments,
    behind_a_keep_alive,
    where_numbers_wrap,
    as_a_super_frame,
    after_the_answer,
    from_a_port_that_was_used,
    in_two_handshakes,
]


@pytest.mark.parametrize("unknown", [None, "allow", "deny"])
def test_no_trick_lets_a_denied_application_speak(attack, agent, unknown):
    link, heard = attack
    rules(agent, unknown)
    ports = itertools.count(20000)
    for trick in ATTACKS:
        with LinkClient(link, next(ports), PORT) as client:
            trick(client)
            client.heard(0.3)
        got = heard()
        assert not [one for one in got if b"EVIL" in one or b"SSH" in one], (
            trick.__name__
        )
    with LinkClient(link, next(ports), PORT) as client:
        client.open()
        client.send(0, GET)
        client.heard(0.3)
    assert GET in heard()

"""Connections whose first bytes are looked at for threats: what is told, what ends, and when the kernel carries them."""

from __future__ import annotations

import pytest

from pyctl.model.threats import ThreatAction
from tests.unit.engine.core.harness import ALLOW, INGRESS, Rule
from tests.unit.engine.core.hello import hello
from tests.unit.engine.core.test_sg_payload_tls import CCS, record, server_hello
from tests.unit.engine.core.threats import alert, drop, names, on, told
from tests.unit.engine.core.wire import Connection, parse

OPEN = Rule(ALLOW)
OLD = server_hello(0x0301)
END = record(CCS, b"\x01")


def talk(core, net, *said: tuple[int, bytes], sport: int = 40000) -> list[list[bytes]]:
    """What was sent on for each segment of a connection, acknowledgements included."""
    flow = Connection(net, INGRESS, sport=sport)
    flow.handshake(core)
    out = []
    for side, data in said:
        out.append(core.feed(flow.segment(side, "PA", data)))
        core.feed(flow.segment(1 - side, "A"))
    return out


def handshake(answer: bytes) -> list[tuple[int, bytes]]:
    return [(0, hello()), (1, answer), (0, END), (1, END)]


def test_an_old_version_is_told_and_passes(core, net):
    core.set_policy(OPEN, threats=alert("tls_1_0"))
    assert all(talk(core, net, *handshake(OLD)))
    assert told(core) == [("tls_1_0", "none", 1)]


def test_it_ends_without_an_answer_where_it_is_dropped(core, net):
    core.set_policy(OPEN, threats=drop("tls_1_0"))
    out = talk(core, net, *handshake(OLD))
    assert [bool(one) for one in out] == [True, False, False, False]
    assert names(core) == ["tls_1_0"]


def test_both_ends_are_reset_where_it_is_to_be(core, net):
    core.set_policy(OPEN, threats=on(ThreatAction.RESET, "tls_1_0"))
    out = talk(core, net, *handshake(OLD))
    assert [str(parse(one)["TCP"].flags)[0] for one in out[1]] == ["R", "R"]


@pytest.mark.parametrize("mode", ["discover", "monitor"])
def test_where_the_mode_records_it_is_told_alone(core, net, mode):
    core.set_policy(OPEN, mode=mode, threats=drop("tls_1_0"))
    assert all(talk(core, net, *handshake(OLD)))
    assert names(core) == ["tls_1_0"]


def test_a_new_version_passes_and_goes_to_the_kernel(core, net):
    core.set_policy(OPEN, threats=drop("tls_1_0", "heartbleed", "http_smuggling"))
    assert all(talk(core, net, *handshake(server_hello(0x0303))))
    assert names(core) == []
    assert len(core.flows) == 1


def test_without_such_a_setting_the_kernel_carries_it_from_its_syn_on(core, net):
    core.set_policy(OPEN, threats=alert("land", "syn_flood"))
    core.feed(Connection(net, INGRESS).segment(0, "S"))
    assert len(core.flows) == 1


def test_the_kernel_has_it_not_before_the_handshake_is_over(core, net):
    core.set_policy(OPEN, threats=alert("heartbleed"))
    talk(core, net, *handshake(server_hello(0x0303))[:2])
    assert core.flows == {}


def test_a_heartbeat_in_pieces_is_found(core, net):
    core.set_policy(OPEN, threats=drop("heartbleed"))
    beat = record(24, b"\x01\x40\0")
    said = [*handshake(server_hello(0x0303))[:2], (0, beat[:6]), (0, beat[6:])]
    out = talk(core, net, *said)
    assert [bool(one) for one in out] == [True, True, True, False]


def test_an_unknown_application_goes_to_the_kernel_soon(core, net):
    core.set_policy(OPEN, threats=alert("tls_1_0", "ssh_v1", "http_smuggling"))
    talk(core, net, (0, b"~" * 300), (1, b"~" * 300), (0, b"~"))
    assert len(core.flows) == 1


def test_a_smuggled_request_is_found(core, net):
    core.set_policy(OPEN, threats=drop("http_smuggling"))
    asked = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n"
    )
    assert talk(core, net, (0, asked)) == [[]]
    assert names(core) == ["http_smuggling"]

"""Threats of TLS: what the server chooses, and a heartbeat that asks for more than it brings."""

from __future__ import annotations

import pytest

from tests.unit.engine.core.threats import payload

HANDSHAKE, CCS, DATA, HEARTBEAT = 22, 20, 23, 24
GOOD = 0xC02F


def record(kind: int, body: bytes, version: int = 0x0301) -> bytes:
    return bytes([kind]) + version.to_bytes(2) + len(body).to_bytes(2) + body


def client_hello() -> bytes:
    return record(HANDSHAKE, b"\x01\0\0\x10" + b"\x03\x03" + bytes(14))


def server_hello(version: int, cipher: int = GOOD, session: bytes = b"") -> bytes:
    body = version.to_bytes(2) + bytes(32) + bytes([len(session)]) + session
    body += cipher.to_bytes(2) + b"\0"
    return record(HANDSHAKE, b"\x02" + len(body).to_bytes(3) + body, version)


@pytest.mark.parametrize(
    ("version", "threats"),
    [
        (0x0300, ["ssl"]),
        (0x0301, ["tls_1_0"]),
        (0x0302, ["tls_1_1"]),
        (0x0303, []),
        (0x0304, []),
    ],
)
@pytest.mark.parametrize("session", [b"", bytes(32)])
def test_the_version_is_the_one_that_the_server_chooses(
    core_module, version, threats, session
):
    found, _ = payload(
        core_module, client_hello(), server_hello(version, session=session)
    )
    assert found == threats


def test_a_server_that_speaks_first_is_none(core_module):
    assert payload(core_module, b"", server_hello(0x0301)) == ([], True)


def test_a_client_that_offers_old_versions_is_none(core_module):
    assert payload(core_module, client_hello(), b"")[0] == []


@pytest.mark.parametrize(
    "cipher", [0x0000, 0x0004, 0x0005, 0x000A, 0x0018, 0x002E, 0xC007, 0xC012, 0xC016]
)
def test_weak_ciphers(core_module, cipher):
    found, _ = payload(core_module, client_hello(), server_hello(0x0303, cipher))
    assert found == ["tls_weak_cipher"]


@pytest.mark.parametrize(
    "cipher", [0x002F, 0x0035, 0x003C, 0x009C, 0x00FF, 0x1301, 0xC013, 0xC02B, 0xCCA8]
)
def test_other_ciphers_are_none(core_module, cipher):
    found, _ = payload(core_module, client_hello(), server_hello(0x0303, cipher))
    assert found == []


@pytest.mark.parametrize(
    ("asked", "brought", "threats"),
    [(16384, 0, ["heartbleed"]), (17, 16, ["heartbleed"]), (16, 16, []), (0, 16, [])],
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_heartbeat_may_ask_for_what_it_brings(
    core_module, asked, brought, threats, side
):
    beat = record(HEARTBEAT, b"\x01" + asked.to_bytes(2) + bytes(brought))
    sides = [client_hello(), server_hello(0x0303)]
    sides[side] += beat
    assert payload(core_module, *sides)[0] == threats


def test_an_answer_to_a_heartbeat_is_none(core_module):
    beat = record(HEARTBEAT, b"\x02\x40\0")
    assert payload(core_module, client_hello() + beat, b"")[0] == []


def test_what_is_encrypted_is_not_read(core_module):
    """Its first bytes may be anything."""
    end = record(CCS, b"\x01") + record(HEARTBEAT, b"\x01\x40\0")
    found, more = payload(core_module, client_hello() + end, server_hello(0x0303) + end)
    assert (found, more) == ([], False)
    data = record(DATA, b"\x01") + record(HEARTBEAT, b"\x01\x40\0")
    assert payload(core_module, client_hello() + data, b"")[0] == []


def test_more_may_come_until_both_sides_encrypt(core_module):
    end = record(CCS, b"\x01")
    assert payload(core_module, client_hello(), b"")[1]
    assert payload(core_module, client_hello(), server_hello(0x0303) + end)[1]
    assert not payload(core_module, client_hello() + end, server_hello(0x0303) + end)[1]


def test_however_it_is_cut_it_is_found(core_module):
    server = server_hello(0x0301, 0x0005)
    for cut in range(len(server) + 1):
        found, _ = payload(core_module, client_hello(), server[:cut])
        assert found == (["tls_1_0", "tls_weak_cipher"] if cut == len(server) else [])


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n", b"\x16\x04\x01", b"SSH-2.0-x"]
)
def test_what_is_no_tls_is_not_read(core_module, first):
    assert payload(core_module, first, server_hello(0x0301))[0] in ([], ["tls_1_0"])
    assert payload(core_module, first, b"hello")[0] == []

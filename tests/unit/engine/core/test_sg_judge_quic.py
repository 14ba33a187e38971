"""Names in QUIC: each ClientHello of a flow is judged, however it is cut, and what is not QUIC passes as before."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.packet import Raw

from pyctl.model.apps import app_name
from pyctl.model.policy import Action
from tests.unit.engine.core.app_flow import always, asks_for
from tests.unit.engine.core.hello import BIG, hello, sni, versions
from tests.unit.engine.core.quic import (
    CID,
    DRAFT_29,
    GREASE,
    HANDSHAKE,
    RETRY,
    V1,
    V2,
    crypto,
    cut,
    initial,
    long_header,
)
from tests.unit.engine.core.test_sg_judge_http import told
from tests.unit.engine.core.test_sg_name_sign import verifies
from tests.unit.engine.core.wire import NETS

PENDING, DECIDED, OVER, REQUESTS = 1, 2, 3, 4
SHORT = b"\x41" + bytes(range(60))
NTP = b"\x23" + bytes(47)
NTP_ANSWER = b"\x24" + bytes(47)


def message(name: bytes, *more: bytes) -> bytes:
    """A ClientHello without its record."""
    return hello(sni(name), versions(0x304), *more)[5:]


GOOD, EVIL = message(b"a.example"), message(b"b.example")


class Talk:
    """One flow of datagrams through a core."""

    def __init__(self, core: Any, net: Any, sport: int = 40000) -> None:
        self.core, self.net, self.sport = core, net, sport

    def says(self, data: bytes) -> bool:
        return self.core.passes(
            self.net.out(UDP(sport=self.sport, dport=443) / Raw(data))
        )

    def hears(self, data: bytes) -> bool:
        return self.core.passes(
            self.net.into(UDP(sport=443, dport=self.sport) / Raw(data))
        )

    @property
    def session(self) -> Any:
        (found,) = self.core.sessions()
        return found


@pytest.fixture(params=NETS, ids=lambda net: f"ipv{net.family}")
def talk(node, request):
    """A flow to an address that is allowed by names."""
    node.judge_by(verifies())
    return Talk(node.core, request.param)


@pytest.mark.parametrize("version", [V1, V2, DRAFT_29])
def test_a_name_of_the_group_passes_and_stays_with_the_engine(talk, version):
    assert talk.says(initial(crypto(GOOD), version=version))
    assert talk.hears(long_header(HANDSHAKE, version))
    assert talk.says(SHORT)
    assert talk.hears(SHORT)
    assert app_name(talk.session.app) == "QUIC"
    assert (talk.session.look, talk.session.rule_id) == (REQUESTS, 7)
    assert talk.core.flows == {}


@pytest.mark.parametrize("version", [V1, V2, DRAFT_29])
def test_another_name_is_denied_and_told(talk, version):
    assert not talk.says(initial(crypto(EVIL), version=version))
    assert not talk.says(SHORT)
    assert told(talk.core)[0][:3] == ("name_mismatch", 0, "b.example")


@pytest.mark.parametrize("name", [b"a.example", b"b.example"])
@pytest.mark.parametrize("seed", range(4))
def test_a_handshake_in_any_pieces_and_order_shows_its_name(talk, name, seed):
    chance = random.Random(seed)
    whole = message(name, BIG)
    frames = cut(whole, [chance.randrange(1, 400) for _ in range(12)])
    chance.shuffle(frames)
    half = len(frames) // 2
    parts = [
        b"\1\0" + b"\0".join(frames[:half]),
        b"\x02\5\0\0\5" + b"\1".join(frames[half:]),
    ]
    passed = [talk.says(initial(part, count=count)) for count, part in enumerate(parts)]
    assert passed == [True, name == b"a.example"]


def test_two_packets_of_one_datagram_are_read(talk):
    first, second = cut(EVIL, [40])
    datagram = initial(first, size=0) + initial(second, count=1)
    assert not talk.says(datagram)


def test_of_two_versions_of_a_byte_the_server_may_have_either(talk):
    assert talk.says(initial(crypto(GOOD)))
    assert not talk.says(initial(crypto(EVIL[:200]), count=1))


def test_what_comes_again_is_no_other(talk):
    for count in range(3):
        assert talk.says(initial(crypto(GOOD), count=count))


def test_another_connection_in_the_flow_is_judged_too(talk):
    assert talk.says(initial(crypto(GOOD)))
    assert talk.hears(long_header(HANDSHAKE))
    assert talk.says(initial(crypto(GOOD), cid=b"another1"))
    assert not talk.says(initial(crypto(EVIL), cid=b"another2"))
    assert told(talk.core)[0][2] == "b.example"


def test_a_connection_that_is_not_whole_cannot_hide_behind_another(talk):
    first, _second = cut(EVIL, [60])
    assert talk.says(initial(first))
    assert not talk.says(initial(crypto(GOOD), cid=b"another1"))


def test_the_servers_connection_id_changes_no_key(talk):
    first, second = cut(GOOD, [60])
    assert talk.says(initial(first))
    assert talk.says(initial(second, cid=b"server-1", key_cid=CID, count=1))
    assert talk.session.look == REQUESTS


@pytest.mark.parametrize(("sent", "passes"), [(GOOD, True), (EVIL, False)])
def test_after_a_retry_the_handshake_begins_anew(talk, sent, passes):
    first, _second = cut(GOOD, [60])
    assert talk.says(initial(first))
    assert talk.hears(long_header(RETRY))
    again = initial(crypto(sent), cid=b"retried!", token=b"t" * 40, count=1)
    assert talk.says(again) is passes


def test_a_server_may_choose_another_version(talk):
    first, second = cut(EVIL, [60])
    assert talk.says(initial(first))
    assert not talk.says(initial(second, version=V2, key_cid=CID, count=1))


def test_the_second_hello_must_have_the_name_too(talk):
    assert talk.says(initial(crypto(GOOD)))
    assert not talk.says(initial(crypto(EVIL, len(GOOD)), count=1))


def test_a_retry_from_the_client_holds_nobody_up(talk):
    assert talk.says(initial(crypto(GOOD)))
    assert talk.says(long_header(RETRY))
    assert talk.hears(long_header(RETRY) * 3)


def test_what_nobody_can_read_is_denied(talk):
    sent = bytearray(initial(crypto(GOOD)))
    sent[-1] ^= 1
    assert not talk.says(bytes(sent))
    assert told(talk.core)[0][:3] == ("name_mismatch", 0, "")


def test_a_version_that_stands_for_none_only_asks_for_others(talk):
    head = b"\xc3" + GREASE.to_bytes(4, "big") + b"\x08" + CID + b"\0\0\x44\x80"
    assert talk.says(head + bytes(1180))
    assert not talk.says(initial(crypto(EVIL)))


def test_what_is_not_quic_goes_to_the_kernel_once_its_server_answers(talk):
    assert talk.says(NTP)
    assert talk.hears(NTP_ANSWER)
    talk.core.advance(0.01)
    assert talk.says(NTP)
    talk.core.advance(0.01)
    assert talk.hears(NTP_ANSWER)
    assert talk.core.flows


@pytest.mark.parametrize("first", [b"x", NTP, b"\x40" * 50])
def test_a_first_datagram_of_another_kind_hides_no_name(talk, first):
    assert talk.says(first)
    assert not talk.says(initial(crypto(EVIL)))


def test_a_condition_of_tls_holds_for_quic(node, net):
    from dataclasses import replace

    from tests.unit.engine.core.conditions import tls

    node.judge_by(
        replace(asks_for("QUIC"), condition=tls("a.example", least=0x304)),
        always(Action.DENY),
    )
    assert Talk(node.core, net).says(initial(crypto(GOOD)))
    assert not Talk(node.core, net, 40001).says(initial(crypto(EVIL)))
    assert told(node.core)[0][:2] == ("policy_deny", 9)

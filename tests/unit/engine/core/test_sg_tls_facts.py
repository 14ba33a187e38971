"""What a TLS handshake tells of a connection, whatever way it is cut, and what crosses before it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyctl.model.apps import NUMBERS
from pyctl.model.policy import Action
from pyctl.model.workload import Mode
from tests.unit.engine.core.app_flow import (
    DECIDED,
    OVER,
    PENDING,
    Wire,
    always,
    asks_for,
)
from tests.unit.engine.core.conditions import ALPN, SNI, VERSION, tls
from tests.unit.engine.core.harness import EGRESS, INGRESS, VIOLATION
from tests.unit.engine.core.hello import (
    BIG,
    CIPHER_CHANGE,
    DATA,
    alpn,
    extension,
    hello,
    records,
    server_hello,
    sized,
    sni,
    versions,
)
from tests.unit.engine.core.test_sg_look import Successor

TLS = NUMBERS["TLS"]
MODERN = versions(0x1A1A, 0x304, 0x303)
USUAL = (sni(b"a.example"), alpn(b"h2", b"http/1.1"), MODERN)
HELLO = hello(*USUAL)
OTHER = hello(sni(b"b.example"), MODERN)
SERVER = server_hello()
RETRY = server_hello(retry=True)
ALL = {SNI, ALPN, VERSION}


class Told:
    """struct sg_facts of the first bytes of both sides."""

    def __init__(self, module, client: bytes, server: bytes = b"") -> None:
        ffi, lib = module.ffi, module.lib
        self._kept = [ffi.new("__u8[]", one or b"\0") for one in (client, server)]
        prefix = ffi.new("struct sg_prefix *", {"proto": 6})
        for side, one in enumerate((client, server)):
            prefix.data[side], prefix.len[side] = self._kept[side], len(one)
        self.raw = ffi.new("struct sg_facts *")
        lib.sg_tell(prefix, TLS, self.raw)
        self.sni = bytes(self.raw.sni)[: self.raw.sni_len].decode()
        self.version, self.most = self.raw.version, self.raw.version_most
        self.next = self.raw.next

    def _bits(self, word: int) -> set[int]:
        return {number for number in ALL if word >> number & 1}

    @property
    def known(self) -> set[int]:
        return self._bits(self.raw.known)

    @property
    def open(self) -> set[int]:
        return self._bits(self.raw.open)

    @property
    def broken(self) -> set[int]:
        return self._bits(self.raw.broken)

    @property
    def alpn(self) -> list[bytes]:
        left, found = bytes(self.raw.alpn)[: self.raw.alpn_len], []
        while left:
            found.append(left[1 : 1 + left[0]])
            left = left[1 + left[0] :]
        return found

    @property
    def is_ambiguous(self) -> bool:
        return self.broken == ALL


@pytest.mark.parametrize("size", [1, 5, 100, 16384])
def test_a_hello_tells_the_name_and_the_protocols(core_module, size):
    told = Told(core_module, hello(*USUAL, BIG, size=size))
    assert (told.sni, told.alpn, told.most) == ("a.example", [b"h2", b"http/1.1"], 772)
    assert (told.known, told.open, told.next) == ({SNI, ALPN}, {VERSION}, 2)
    assert not told.broken


@pytest.mark.parametrize("size", [1, 7, 16384])
@pytest.mark.parametrize("version", [0x300, 0x301, 0x303, 0x304])
def test_the_server_tells_the_version(core_module, size, version):
    answer = server_hello(version, legacy=min(version, 0x303), size=size)
    told = Told(core_module, HELLO, answer + DATA)
    assert (told.version, told.known, told.next) == (version, ALL, 0)


def test_each_byte_of_the_answer_is_waited_for(core_module):
    for at in range(len(SERVER)):
        told = Told(core_module, HELLO, SERVER[:at])
        assert (told.known, told.open, told.next) == ({SNI, ALPN}, {VERSION}, 2), at


@pytest.mark.parametrize("answer", [b"\x15\x03\x03\0\2\2\x28", b"HTTP/1.1 400\r\n"])
def test_what_is_no_server_hello_tells_no_version(core_module, answer):
    told = Told(core_module, HELLO, answer)
    assert (told.known, told.open, told.next) == ({SNI, ALPN}, set(), 0)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        (b"A.Example", "a.example"),
        (b"a.example.", "a.example"),
        (b"a_b-c.example", "a_b-c.example"),
        (b"10.0.0.1", "10.0.0.1"),
        (b"x" * 63 + b".example", "x" * 63 + ".example"),
    ],
)
def test_a_name_is_in_lower_case_and_without_its_last_dot(core_module, name, means):
    told = Told(core_module, hello(sni(name), MODERN))
    assert (told.sni, told.broken) == (means, set())


TWICE = sized(2, 2 * (b"\0" + sized(2, b"a.example")))


@pytest.mark.parametrize(
    "named",
    [
        sni(b"a.example\0.b.example"),
        sni(b"a.example.."),
        sni(b".a.example"),
        sni(b"a..example"),
        sni(b"."),
        sni(b""),
        sni(b"*.example"),
        sni(b"a.ex ample"),
        sni("ä.example".encode()),
        sni(b"x" * 64 + b".example"),
        sni(b"a." * 126 + b"ab"),
        sni(b"a.example") + sni(b"a.example"),
        sni(b"a.example") + sni(b"b.example"),
        extension(0, b""),
        extension(0, sized(2, b"\1" + sized(2, b"a.example"))),
        extension(0, TWICE),
        extension(0, sized(2, b"\0" + sized(2, b"a.example")) + b"\0"),
        extension(0, sized(2, b"\0\0\x09a.exampl")),
    ],
)
def test_a_name_that_servers_understand_in_several_ways_is_ambiguous(
    core_module, named
):
    assert SNI in Told(core_module, hello(named, MODERN)).broken


def test_no_name_is_none(core_module):
    told = Told(core_module, hello(MODERN))
    assert (told.sni, told.known, told.broken) == ("", {SNI, ALPN}, set())


def test_what_stands_for_nothing_is_left_out(core_module):
    told = Told(core_module, hello(alpn(b"\x2a\x2a", b"h2"), MODERN))
    assert (told.alpn, told.most) == ([b"h2"], 0x304)


def test_without_its_extension_the_old_field_has_the_version(core_module):
    assert Told(core_module, hello(version=b"\3\1")).most == 0x301
    assert Told(core_module, hello(version=b"\3\4")).most == 0x303
    assert Told(core_module, hello(versions(0x7F1C))).most == 0x304


@pytest.mark.parametrize("listed", [b"", b"\3\3\4", b"\1\3", b"\2\3\4\0"])
def test_versions_that_are_no_list_are_ambiguous(core_module, listed):
    assert VERSION in Told(core_module, hello(extension(43, listed))).broken


def test_protocols_beyond_what_is_kept_are_ambiguous(core_module):
    many = Told(core_module, hello(alpn(*(b"x" * 30 for _ in range(9)))))
    assert ALPN in many.broken
    assert ALPN in Told(core_module, hello(alpn(b"h2"), alpn(b"h2"))).broken


@pytest.mark.parametrize("early", [b"", CIPHER_CHANGE, CIPHER_CHANGE + DATA * 2])
def test_early_data_changes_nothing(core_module, early):
    for cut in range(len(early) + 1):
        told = Told(core_module, HELLO + early[:cut])
        assert (told.known, told.next, told.broken) == ({SNI, ALPN}, 2, set())


def test_a_second_message_before_the_answer_is_ambiguous(core_module):
    assert Told(core_module, HELLO + OTHER).is_ambiguous
    assert Told(core_module, HELLO + DATA + OTHER[:1]).is_ambiguous
    message = HELLO[5:]
    assert Told(core_module, records(message + b"\1")).is_ambiguous
    assert Told(core_module, records(message + message)).is_ambiguous


def test_a_server_that_asks_again_is_waited_for(core_module):
    again = CIPHER_CHANGE + hello(*USUAL, BIG)
    for cut in range(len(again)):
        told = Told(core_module, HELLO + again[:cut], RETRY + CIPHER_CHANGE)
        assert (told.known, told.open, told.next) == (set(), ALL, 1), cut
    told = Told(core_module, HELLO + again, RETRY + CIPHER_CHANGE)
    assert (told.sni, told.known, told.next) == ("a.example", {SNI, ALPN}, 2)
    told = Told(core_module, HELLO + again, RETRY + CIPHER_CHANGE + SERVER)
    assert (told.version, told.known, told.next) == (0x304, ALL, 0)


def test_the_second_hello_is_for_the_same_name_and_its_protocols_count(core_module):
    assert Told(core_module, HELLO + OTHER, RETRY).is_ambiguous
    assert Told(core_module, HELLO + hello(MODERN), RETRY).is_ambiguous
    assert Told(core_module, HELLO + b"\x16\x03\x03\0\1\x0b", RETRY).is_ambiguous
    assert Told(core_module, HELLO + b"GET", RETRY).is_ambiguous
    shares = records(HELLO[5:] + bytes(9))[:-3]
    assert Told(core_module, HELLO + shares, RETRY).is_ambiguous
    told = Told(core_module, HELLO + hello(sni(b"A.example"), alpn(b"h3")), RETRY)
    assert (told.alpn, told.broken) == ([b"h3"], set())


def test_a_server_asks_again_once(core_module):
    assert Told(core_module, HELLO + HELLO, RETRY + RETRY).is_ambiguous


def for_tls(*names, action=Action.ALLOW, number=7, **more):
    asked = tls(*names, denies=action is not Action.ALLOW, **more)
    return replace(asks_for("TLS", action=action, number=number), condition=asked)


@pytest.fixture(params=[EGRESS, INGRESS], ids=["egress", "ingress"])
def wire(node, net, request):
    node.judge_by(for_tls("a.example"))
    return Wire(node.core, net, request.param).opens()


def test_the_allowed_name_passes_and_goes_to_the_kernel(wire):
    wire.says(0, HELLO[:300])
    wire.says(0, HELLO[300:])
    assert wire.across == [HELLO, b""]
    assert wire.session.look == PENDING
    wire.says(1, SERVER)
    assert wire.across == [HELLO, SERVER]
    assert (wire.session.look, wire.session.rule_id) == (DECIDED, 7)
    wire.acknowledges(0)
    assert wire.session.look == OVER
    assert len(wire.core.flows) == 1


def test_of_another_name_nothing_crosses(wire):
    wire.says(0, OTHER)
    assert wire.across == [b"", b""]
    assert wire.resets == 2


def test_a_part_of_a_hello_does_not_cross(wire):
    for at in range(0, len(HELLO) - 1, 7):
        wire.says(0, HELLO[at : min(at + 7, len(HELLO) - 1)])
        assert wire.across == [b"", b""]
    wire.says(0, HELLO[-1:])
    assert wire.across == [HELLO, b""]


def test_segments_in_any_order_tell_the_same(wire):
    first, second = HELLO[:100], HELLO[100:]
    frames = [wire.connection.segment(0, "PA", one) for one in (first, second)]
    wire.feed(frames[1])
    assert wire.across == [b"", b""]
    wire.feed(frames[0])
    assert sorted(wire.across[0]) == sorted(HELLO)


def test_after_another_try_the_same_name_passes(wire):
    wire.says(0, HELLO)
    wire.says(1, RETRY)
    assert wire.across == [HELLO, RETRY]
    again = hello(*USUAL, BIG)
    wire.says(0, again[:700])
    assert wire.across == [HELLO, RETRY]
    wire.says(0, again[700:])
    wire.says(1, SERVER)
    assert wire.across == [HELLO + again, RETRY + SERVER]
    assert (wire.session.look, wire.session.rule_id) == (DECIDED, 7)


def test_after_another_try_another_name_does_not(wire):
    wire.says(0, HELLO)
    wire.says(1, RETRY)
    wire.says(0, OTHER)
    assert wire.across == [HELLO, RETRY]
    assert wire.resets == 2


def test_a_part_of_the_answer_waits(wire):
    wire.says(0, HELLO)
    wire.says(1, RETRY[:20])
    assert wire.across == [HELLO, b""]
    wire.says(1, RETRY[20:])
    assert wire.across == [HELLO, RETRY]


def test_a_version_that_is_not_offered_is_refused_at_once(node, net):
    node.judge_by(for_tls(least=0x304))
    wire = Wire(node.core, net).opens()
    wire.says(0, hello(sni(b"a.example"), versions(0x303)))
    assert wire.across == [b"", b""]
    assert wire.resets == 2


@pytest.mark.parametrize(("version", "passes"), [(0x303, False), (0x304, True)])
def test_the_version_is_the_one_that_the_server_chooses(node, net, version, passes):
    node.judge_by(for_tls(least=0x304))
    wire = Wire(node.core, net).opens()
    wire.says(0, HELLO)
    assert wire.across[0] == HELLO
    answer = server_hello(version)
    wire.says(1, answer)
    assert wire.across[1] == (answer if passes else b"")
    assert wire.resets == (0 if passes else 2)


def test_what_denies_a_name_lets_others_pass(node, net):
    node.judge_by(for_tls("*.evil.example", action=Action.DENY), always())
    for sport, name in enumerate((b"x.EVIL.example.", b"a\0.x.example"), 40001):
        wire = Wire(node.core, net, sport=sport).opens()
        wire.says(0, hello(sni(name), MODERN))
        assert wire.across == [b"", b""]
    wire = Wire(node.core, net).opens()
    wire.says(0, HELLO)
    wire.says(1, SERVER)
    assert wire.across == [HELLO, SERVER]


def test_in_monitor_another_name_is_a_violation_and_passes(node, net):
    node.judge_by(for_tls("a.example"), mode=Mode.MONITOR)
    wire = Wire(node.core, net).opens()
    wire.says(0, OTHER)
    assert wire.across[0] == OTHER
    assert [e.kind for e in node.core.events() if e.kind == VIOLATION] == [VIOLATION]


def test_what_held_holds_after_a_change_of_the_policy(node, net):
    node.judge_by(for_tls("a.example"))
    wire = Wire(node.core, net).opens()
    wire.says(0, HELLO)
    wire.says(1, SERVER)
    wire.acknowledges(0)
    node.judge_by(for_tls("b.example"), for_tls("a.example", number=8))
    wire.says(0, DATA)
    assert wire.across[0] == HELLO + DATA
    node.judge_by(for_tls("c.example"))
    wire.says(0, DATA)
    assert wire.across[0] == HELLO + DATA
    assert wire.resets == 2


def test_a_rule_that_denies_and_is_new_ends_what_nobody_knows_any_more(node, net):
    denies = for_tls("b.example", action=Action.DENY, number=8)
    node.judge_by(denies, for_tls("a.example"))
    wire = Wire(node.core, net).opens()
    wire.says(0, HELLO)
    wire.says(1, SERVER)
    wire.acknowledges(0)
    node.judge_by(denies, for_tls("a.example"), for_tls("c.example", number=10))
    wire.says(0, DATA)
    assert wire.across[0] == HELLO + DATA
    node.core.advance(0.1)
    node.judge_by(for_tls("c.example", action=Action.DENY), for_tls("a.example"))
    wire.says(0, DATA)
    assert wire.across[0] == HELLO + DATA
    assert wire.resets == 2


def test_a_look_that_goes_on_is_judged_by_the_new_policy(node, net):
    node.judge_by(for_tls("b.example"), for_tls("a.example", number=8))
    wire = Wire(node.core, net).opens()
    wire.says(0, HELLO)
    wire.says(1, SERVER)
    node.judge_by(for_tls("*.example"))
    wire.says(1, DATA)
    assert (wire.across[1], wire.session.rule_id) == (SERVER + DATA, 7)


def test_an_answer_that_waits_for_too_long_is_not_sent(node, net):
    node.judge_by(for_tls("a.example"))
    wire = Wire(node.core, net).opens()
    wire.says(0, HELLO)
    wire.says(1, RETRY[:20])
    wire.waits(4)
    assert wire.across == [HELLO, b""]
    assert wire.resets == 2


@pytest.mark.parametrize("turned", [False, True], ids=["in-order", "turned"])
def test_a_hello_cut_anywhere_tells_the_same(node, net, turned):
    node.judge_by(for_tls("a.example"))
    for cut in range(1, len(OTHER)):
        for whole, crosses in ((HELLO, True), (OTHER, False)):
            sport = 20000 + 2 * cut + crosses
            wire = Wire(node.core, net, sport=sport).opens()
            pieces = [whole[:cut], whole[cut:]]
            frames = [wire.connection.segment(0, "PA", one) for one in pieces]
            for frame in reversed(frames) if turned else frames:
                wire.feed(frame)
            assert sorted(wire.across[0]) == (sorted(whole) if crosses else []), cut
            assert wire.resets == (0 if crosses else 2), cut


def test_what_held_holds_for_the_next_engine_too(core_module, net):
    denies = for_tls("b.example", action=Action.DENY, number=6)
    engines = Successor(core_module, denies, for_tls("a.example"))
    wire = Wire(engines.node.core, net).opens()
    wire.says(0, HELLO)
    wire.says(1, SERVER)
    wire.acknowledges(0)
    wire.core = engines.next().core
    wire.says(0, DATA)
    assert wire.across == [HELLO + DATA, SERVER]
    assert (wire.session.rule_id, wire.session.look) == (7, OVER)

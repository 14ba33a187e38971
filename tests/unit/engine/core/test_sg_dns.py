"""Messages of DNS as bytes: whatever they are, reading them ends, and nothing is made up."""

from __future__ import annotations

import random
import struct

import pytest

from tests.unit.engine.core.dns import (
    CNAME,
    CUT,
    POINTER,
    A,
    address,
    answer,
    asked,
    message,
    name,
    question,
    record,
)


class Reader:
    """The parser alone."""

    def __init__(self, module):
        self.ffi, self.lib = module.ffi, module.lib

    def question(self, data: bytes):
        """struct sg_dns_question; None: there is none."""
        made = self.ffi.new("struct sg_dns_question *")
        # Of exactly its size.
        held = self.ffi.from_buffer(bytearray(data))
        return None if self.lib.sg_dns_read_question(held, len(data), made) else made

    def names(self, data: bytes) -> list[str] | None:
        """Of the chain; None: it cannot be read."""
        chain, found = self.ffi.new("struct sg_dns_chain *"), self.question(data)
        if not found:
            return None
        held = self.ffi.from_buffer(bytearray(data))
        if self.lib.sg_dns_follow(held, len(data), found, chain):
            return None
        return [
            self.ffi.string(chain.names[i]).decode("latin-1")
            for i in range(chain.count)
        ]


@pytest.fixture
def reader(core_module):
    """Name: reader. Scope: function. Depends: core_module. Reads messages."""
    return Reader(core_module)


def test_a_question_is_read_with_its_letters(reader):
    found = reader.question(question("Db.Example", ident=513))
    assert (found.id, found.type, found.is_answer, found.is_cut) == (513, A, 0, 0)
    assert bytes(found.name)[: found.length] == name("Db.Example")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        message(0x0100, 1),
        message(0x0100, 1, [asked("a"), asked("b")]),
        message(0x2800, 1, [asked("a")]),
        message(0x0100, 1, [b"\1a\0" + struct.pack("!2H", 1, 3)]),
        message(0x0100, 1, [b"\xc0\x0c" + struct.pack("!2H", 1, 1)]),
        message(0x0100, 1, [b"\xc0\x0e\xc0\x0c" + struct.pack("!2H", 1, 1)]),
        message(0x0100, 1, [b"\x40" + b"a" * 64 + b"\0" + struct.pack("!2H", 1, 1)]),
        message(0x0100, 1, [b"\x3f" + b"a" * 63] * 1)[:-60],
        message(0x0100, 1, [(b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1"]),
    ],
)
def test_what_is_no_question_is_none(reader, data):
    assert reader.question(data) is None


def test_the_longest_name_is_read(reader):
    text = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert reader.names(answer(text, [])) == [text]
    ones = ".".join(["x"] * 127)
    assert reader.names(answer(ones, [])) == [ones]


@pytest.mark.parametrize(
    "target",
    [
        b"\xc0\x1f",
        b"\xc0\xff",
        b"\xff\xff",
        b"\1b\xc0\x1f",
        b"\x3fb",
        b"\x80",
        b"\xc0",
    ],
)
def test_a_pointer_that_does_not_lead_back_is_no_name(reader, target):
    """To itself, in a circle, beyond the end."""
    assert reader.names(answer("a", [record(CNAME, target)])) is None


@pytest.mark.parametrize("pointers", [63, 64])
def test_a_name_goes_over_63_pointers_at_most(reader, pointers):
    """A message of 64 KiB has room for 4,000 owners, each over 8,000 pointers: reading them took a tenth of a second."""
    begins = len(answer("b", [])) + 12
    data = POINTER + b"".join(
        struct.pack("!H", 0xC000 | begins + 2 * at) for at in range(pointers - 2)
    )
    owner = struct.pack("!H", 0xC000 | begins + 2 * (pointers - 2))
    records = [record(16, data), record(CNAME, name("a"), owner)]
    assert reader.names(answer("b", records)) == (
        ["b", "a"] if pointers == 63 else ["b"]
    )


def test_names_that_lead_in_a_circle_end(reader):
    circle = [
        record(CNAME, name("b")),
        record(CNAME, name("c"), name("b")),
        record(CNAME, name("a"), name("c")),
    ]
    assert reader.names(answer("a", circle * 50)) == ["a", "b", "c"]


def test_a_long_chain_is_followed_as_far_as_it_is_kept(reader):
    chain = [
        record(CNAME, name(f"n{i + 1}"), POINTER if not i else name(f"n{i}"))
        for i in range(40)
    ]
    assert len(reader.names(answer("a", chain))) == 16


def test_every_beginning_of_an_answer_is_refused_and_of_a_cut_one_is_read(reader):
    records = [
        record(CNAME, name("b.example")),
        address("192.0.2.1", name("b.example")),
    ]
    for flags in (0, CUT):
        whole = answer("a.example", records, flags=flags)
        for size in range(len(whole)):
            names = reader.names(whole[:size])
            assert names is None or (flags and names[0] == "a.example")
        assert reader.names(whole) == ["a.example", "b.example"]


def test_any_byte_may_be_another(reader):
    records = [
        record(CNAME, name("b.example")),
        address("192.0.2.1", name("b.example")),
    ]
    whole, dice = answer("a.example", records), random.Random(3)
    for at in range(len(whole)):
        for byte in (0, 1, 0x3F, 0x40, 0xC0, 0xFF, dice.randrange(256)):
            names = reader.names(whole[:at] + bytes([byte]) + whole[at + 1 :])
            assert names is None or len(names) <= 16

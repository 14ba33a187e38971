"""TLS is known by its ClientHello; a ServerHello alone is a guess."""

from __future__ import annotations

from tests.unit.engine.core.hello import SERVER_HELLO, hello, sni
from tests.unit.engine.core.recognise import GUESS, UNKNOWN, Sample, told


def test_an_answer_without_its_hello_is_a_guess(core_module):
    assert told(core_module, Sample(b"", SERVER_HELLO)) == ("TLS", GUESS)


def test_the_first_bytes_of_data_are_none(core_module):
    data = b"\x17\x03\x03\0\x20" + bytes(32)
    assert told(core_module, Sample(data, data)) == UNKNOWN


def test_a_hello_of_a_name_alone_is_proof(core_module):
    said = told(core_module, Sample(hello(sni(b"a.example"))))
    assert said == ("TLS", "certain")

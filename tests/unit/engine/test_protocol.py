"""Whatever bytes come, the decoder gives whole messages or one ProtocolError."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctl.engine.protocol import (
    HEAD,
    MAGIC,
    MAX_BLOB,
    MAX_OBJECT,
    Decoder,
    Message,
    ProtocolError,
    encode,
    error_body,
    raise_error,
)
from pyctl.errors import ALL, SegctlError

bodies = st.dictionaries(
    st.text(max_size=8),
    st.one_of(st.integers(), st.text(max_size=8), st.none()),
    max_size=4,
)
messages = st.lists(st.builds(Message, bodies, st.binary(max_size=64)), max_size=4)


@given(messages, st.lists(st.integers(1, 40), max_size=50))
@settings(max_examples=100)
def test_messages_survive_any_cut(sent, cuts):
    stream = b"".join(encode(message) for message in sent)
    decoder, got = Decoder(), []
    for cut in cuts:
        got += decoder.feed(stream[:cut])
        stream = stream[cut:]
    got += decoder.feed(stream)
    assert got == sent


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_noise_is_a_protocol_error_or_an_unfinished_message(noise):
    decoder = Decoder()
    try:
        found = decoder.feed(noise)
    except ProtocolError:
        return
    if not found:
        assert MAGIC.startswith(noise[:4]) or noise.startswith(MAGIC)


@given(st.binary(max_size=60))
@settings(max_examples=100)
def test_a_head_with_a_body_of_noise_is_a_message_or_a_protocol_error(noise):
    try:
        found = Decoder().feed(HEAD.pack(MAGIC, len(noise), 0) + noise)
    except ProtocolError:
        return
    assert [message.body for message in found] == [json.loads(noise)]


@pytest.mark.parametrize(
    "sizes", [(MAX_OBJECT + 1, 0), (2, MAX_BLOB + 1), (2**32 - 1, 2**32 - 1)]
)
def test_a_length_beyond_the_limit_is_refused_before_the_bytes_come(sizes):
    with pytest.raises(ProtocolError, match="too large"):
        Decoder().feed(HEAD.pack(MAGIC, *sizes))


def test_a_message_beyond_the_limit_is_not_sent():
    with pytest.raises(ProtocolError, match="too large"):
        encode(Message({}, bytes(MAX_BLOB + 1)))


@pytest.mark.parametrize("text", [b"[]", b"1", b"{", b"\xff", b"[" * 100000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(ProtocolError):
        Decoder().feed(HEAD.pack(MAGIC, len(text), 0) + text)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_crosses_the_socket_as_the_class_it_was(kind):
    with pytest.raises(kind) as caught:
        raise_error(error_body(kind("tried", state="state", advice="advice", errno=5)))
    assert str(caught.value) == "tried. State. Advice."
    assert caught.value.errno == 5


def test_an_answer_without_sense_is_an_error_too():
    with pytest.raises(SegctlError):
        raise_error({})

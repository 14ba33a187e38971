"""Near misses by the hundred: a sample with one byte changed is called the same, however it is cut.

In: samples. Out: nothing, or a failed assertion. I/O: none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.unit.engine.core.recognise import (
    CERTAIN,
    TCP,
    Recogniser,
    Sample,
    Told,
    assert_recognised,
    told,
)


def mutants(sample: Sample) -> Iterator[Sample]:
    """Each byte of the initiator with its lowest or its highest bit turned over."""
    for at in range(len(sample.asks)):
        for bit in (0x01, 0x80):
            asks = bytearray(sample.asks)
            asks[at] ^= bit
            yield replace(sample, asks=bytes(asks))


def byte_by_byte(module: Any, sample: Sample) -> Told:
    one = Recogniser(module)
    for end in range(len(sample.asks)):
        one.ask(sample.asks[:end], b"", sample.proto)
    return one.ask(sample.asks, sample.answers, sample.proto)


def assert_recognises(module: Any, app: str, *samples: Sample) -> None:
    """Each sample is `app` however it is cut, and its mutants are what they are however they are cut."""
    for sample in samples:
        assert_recognised(module, app, sample)
        if sample.proto == TCP:
            for mutant in mutants(sample):
                assert byte_by_byte(module, mutant) == told(module, mutant)


def assert_not(module: Any, app: str, *samples: Sample) -> None:
    """No sample is certain to be `app`."""
    for sample in samples:
        assert told(module, sample) != (app, CERTAIN), sample

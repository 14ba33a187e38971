"""sg_recognise() by hand: bytes of both sides in, an application out; and every way to cut them.

In: bytes. Out: names of applications. I/O: none. A sample belongs to whoever wrote its test: no capture is kept here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyctl.model.apps import app_name

TCP, UDP = 6, 17
CERTAIN, GUESS = "certain", "guess"
PROOFS = {0: None, 1: GUESS, 2: CERTAIN}
Told = tuple[str | None, str | None]
"""An application and how sure it is."""
UNKNOWN: Told = ("unknown", None)


@dataclass(frozen=True)
class Sample:
    """What both sides of a flow send first, and what it is."""

    asks: bytes
    answers: bytes = b""
    proto: int = TCP

    def cuts(self) -> Iterator[list[tuple[int, int]]]:
        """Every way in which one side's bytes come in two pieces, before and after the other's; and byte by byte."""
        asks, answers = len(self.asks), len(self.answers)
        for one in range(asks + 1):
            yield [(one, 0), (asks, 0), (asks, answers)]
            yield [(0, answers), (one, answers), (asks, answers)]
        for one in range(answers + 1):
            yield [(0, one), (0, answers), (asks, answers)]
            yield [(asks, 0), (asks, one), (asks, answers)]
        yield [(n, 0) for n in range(asks)] + [(asks, n) for n in range(answers + 1)]
        yield [(0, n) for n in range(answers)] + [(n, answers) for n in range(asks + 1)]


class Recogniser:
    """One flow's memory, and who is asked about it."""

    def __init__(self, module: Any) -> None:
        self.ffi, self.lib = module.ffi, module.lib
        self.known = self.ffi.new("struct sg_recognised *")

    def ask(self, asks: bytes, answers: bytes = b"", proto: int = TCP) -> Told:
        """Hand in what has come so far; the bytes lie in memory of their own size."""
        sides = [self.ffi.new("uint8_t[]", side or b"\0") for side in (asks, answers)]
        prefix = self.ffi.new(
            "struct sg_prefix *", (sides, (len(asks), len(answers)), proto)
        )
        self.lib.sg_recognise(prefix, self.known)
        return app_name(self.known.app), PROOFS[self.known.proof]


def told(module: Any, sample: Sample) -> Told:
    """What a flow is called by all of its bytes."""
    return Recogniser(module).ask(sample.asks, sample.answers, sample.proto)


def assert_recognised(module: Any, app: str, sample: Sample) -> None:
    """However it is cut the flow is `app` in the end, and certain of nothing else on the way.

    A datagram is not cut: it comes whole, or not yet.
    """
    assert told(module, sample) == (app, CERTAIN)
    whole = (0, len(sample.asks)), (0, len(sample.answers))
    for cut in sample.cuts():
        if sample.proto == UDP and any(
            a not in whole[0] or b not in whole[1] for a, b in cut
        ):
            continue
        one = Recogniser(module)
        for asks, answers in cut:
            said = one.ask(sample.asks[:asks], sample.answers[:answers], sample.proto)
            assert said == (app, CERTAIN) or CERTAIN not in said, (said, cut)
            assert said != UNKNOWN, cut
        assert said == (app, CERTAIN), cut
